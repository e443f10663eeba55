// The claims on learning curves; their words are in section.cpp.
#pragma once

#include <span>

#include "experiments/report/claims.h"

namespace basin::report {

// finetune[i] and randinit[i] are the performances of a pair of runs.
Judgement judge_transfer_helps(Metric metric, std::span<const double> finetune,
                               std::span<const double> randinit);
// The gains P-T minus RI-T of the runs on a target near to the source and on one far from it.
Judgement judge_larger_gain(Metric metric, std::span<const double> near,
                            std::span<const double> far);

}  // namespace basin::report
