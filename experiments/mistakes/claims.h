// The claim on mistakes; its words are in section.cpp.
#pragma once

#include <optional>

#include "experiments/mistakes/mistakes.h"
#include "experiments/report/claims.h"

namespace basin::report {

// Share of the mistakes of either network that both make; nothing where there is no mistake.
std::optional<double> common_ratio(const MistakeCounts& counts);
// The same if the mistakes of the two were independent of each other.
std::optional<double> independent_ratio(const MistakeCounts& counts);

// The two P-T, and the pair that must share less.
Judgement judge_shared_mistakes(const MistakeCounts* finetune, const MistakeCounts* other);

}  // namespace basin::report
