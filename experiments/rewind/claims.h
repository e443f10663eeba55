// The claims on rewound modules; their words are in section.cpp.
#pragma once

#include <optional>
#include <span>

#include "experiments/report/claims.h"

namespace basin::report {

// Performance after one module was set back to its start value. The module "none": nothing was.
using ModuleScores = std::span<const ModuleValue>;

// The mean drop over the stem (conv1) and the first block of each stage (layerN.0), the modules
// the paper finds critical in RI-T; nothing where `scores` lacks "none" or all of these.
std::optional<double> critical_drop(ModuleScores scores);

Judgement judge_rewinding(Metric metric, ModuleScores finetune, ModuleScores randinit);
Judgement judge_classifier(Metric metric, ModuleScores finetune);

}  // namespace basin::report
