// Rules for what training runs show: transfer against random start, shuffled images, early
// checkpoints of pre-training.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/report/claims.h"

namespace basin::report {

extern const char* const kTransferHelpsRule;
// finetune[i] and randinit[i] are the performances of a pair of runs.
Judgement judge_transfer_helps(Metric metric, std::span<const double> finetune,
                               std::span<const double> randinit);

extern const char* const kLargerGainRule;
// The gains P-T minus RI-T of the runs on a target near to the source and on one far from it.
Judgement judge_larger_gain(Metric metric, std::span<const double> near,
                            std::span<const double> far);

// The runs on one target by how their images were shuffled. Only seeds that have all of them count.
struct ShuffleSeries {
  std::vector<std::string> settings;  // smallest block first, unshuffled last; no pixel shuffling
  // Per seed, one value per setting: final test performance, and mean training performance.
  std::vector<std::vector<double>> finetune, randinit, finetune_speed, randinit_speed;
};
// (finetune - randinit) / finetune of a seed and setting, the paper's relative drop.
double relative_drop(double finetune, double randinit);

extern const char* const kShuffleFallsRule;
Judgement judge_shuffle_falls(Metric metric, const ShuffleSeries& series);
extern const char* const kDropShrinksRule;
Judgement judge_drop_shrinks(const ShuffleSeries& series);
extern const char* const kDropStaysRule;
Judgement judge_drop_stays(const ShuffleSeries& series);
extern const char* const kSpeedRule;
Judgement judge_shuffle_speed(const ShuffleSeries& series);

// The runs on one target by the pre-training checkpoint they started from. Only seeds that have all
// of them count.
struct CheckpointSeries {
  std::vector<double> epochs;                    // ascending; the last ends pre-training
  std::vector<std::vector<double>> performance;  // per seed, one value per checkpoint
};
extern const char* const kEarlyGainRule;
Judgement judge_early_gain(Metric metric, const CheckpointSeries& series);
extern const char* const kPlateauRule;
Judgement judge_plateau(Metric metric, const CheckpointSeries& series);

}  // namespace basin::report
