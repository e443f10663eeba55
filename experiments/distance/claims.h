// The claim on distances; its words are in section.cpp.
#pragma once

#include <optional>

#include "experiments/report/claims.h"

namespace basin::report {

// l2 distances in parameter space between two P-T and between two RI-T.
Judgement judge_closer(std::optional<double> finetune, std::optional<double> randinit);

}  // namespace basin::report
