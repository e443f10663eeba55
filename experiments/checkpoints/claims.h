// The claims on earlier checkpoints; their words are in section.cpp.
#pragma once

#include <vector>

#include "experiments/report/claims.h"

namespace basin::report {

// The runs on one target by the pre-training checkpoint they started from. Only seeds that have all
// of them count.
struct CheckpointSeries {
  std::vector<double> epochs;                    // ascending; the last ends pre-training
  std::vector<std::vector<double>> performance;  // per seed, one value per checkpoint
};
Judgement judge_early_gain(Metric metric, const CheckpointSeries& series);
Judgement judge_plateau(Metric metric, const CheckpointSeries& series);

}  // namespace basin::report
