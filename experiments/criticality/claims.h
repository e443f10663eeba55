// The claim on criticality that has a rule of its own; its words are in section.cpp.
#pragma once

#include <span>

#include "experiments/report/claims.h"

namespace basin::report {

// Criticality per module on the direct path; infinite where no setting was admissible.
Judgement judge_criticality(std::span<const ModuleValue> finetune,
                            std::span<const ModuleValue> randinit);

}  // namespace basin::report
