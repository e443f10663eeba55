// The claims on shuffled images, and what the paper measured.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/report/claims.h"
#include "experiments/report/results.h"

namespace basin::report {

// The runs on one target by how their images were shuffled. Only seeds that have all of them count.
struct ShuffleSeries {
  std::vector<std::string> settings;  // smallest block first, unshuffled last; no pixel shuffling
  // Per seed, one value per setting: final test performance, and mean training performance.
  std::vector<std::vector<double>> finetune, randinit, finetune_speed, randinit_speed;
};
// (finetune - randinit) / finetune of a seed and setting, the paper's relative drop.
double relative_drop(double finetune, double randinit);

Judgement judge_shuffle_falls(Metric metric, const ShuffleSeries& series);
Judgement judge_drop_shrinks(const ShuffleSeries& series);
Judgement judge_drop_stays(const ShuffleSeries& series);
Judgement judge_shuffle_speed(const ShuffleSeries& series);

// Figure 3 of the paper, per cent.
struct PaperShuffle {
  const char* block;  // block size of images of side 224; "*": all pixels and channels
  double drop;        // printed in the figure
  double finetune, randinit, finetune_speed, randinit_speed;
};
std::span<const PaperShuffle> paper_shuffle(std::string_view target);  // empty: not shown there

// The claims over the targets of `series` and those that the paper shows.
std::vector<Claim> shuffle_claims(const Results& results,
                                  const std::map<std::string, ShuffleSeries>& series);

}  // namespace basin::report
