// Verdicts on shuffled images: numbers for which each must say yes, no, or neither.
#include "experiments/shuffle/claims.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace basin;
using namespace basin::report;
using Values = std::vector<double>;

namespace {
// Three block sizes; the values of the seeds differ a little.
ShuffleSeries series(const Values& finetune, const Values& randinit, const Values& finetune_speed,
                     const Values& randinit_speed, int seeds = 3) {
  ShuffleSeries made;
  made.settings = {"block 1", "block 4", "unshuffled"};
  const auto spread = [&](const Values& values, std::vector<Values>& all) {
    for (int seed = 0; seed < seeds; ++seed) {
      Values& one = all.emplace_back(values);
      for (std::size_t i = 0; i < one.size(); ++i) {
        one[i] *= 1 + 0.002 * seed * static_cast<double>(i);
      }
    }
  };
  spread(finetune, made.finetune);
  spread(randinit, made.randinit);
  spread(finetune_speed, made.finetune_speed);
  spread(randinit_speed, made.randinit_speed);
  return made;
}
}  // namespace

TEST_CASE("relative drop") {
  CHECK(relative_drop(0.77, 0.449) == doctest::Approx(0.41688).epsilon(1e-4));  // Figure 3: 42 %
  CHECK(relative_drop(0.5, 0.5) == 0);
}

TEST_CASE("shuffling verdicts on the paper's real and quickdraw") {
  // Figure 3 at blocks 1 and 4 and unshuffled.
  const ShuffleSeries real = series({0.137, 0.269, 0.770}, {0.125, 0.237, 0.449},
                                    {0.828, 0.884, 0.951}, {0.465, 0.772, 0.859});
  const ShuffleSeries quickdraw = series({0.097, 0.252, 0.647}, {0.030, 0.192, 0.507},
                                         {0.783, 0.879, 0.937}, {0.023, 0.811, 0.879});
  for (const ShuffleSeries* paper : {&real, &quickdraw}) {
    CHECK(judge_shuffle_falls(Metric::kAccuracy, *paper).verdict == Verdict::kReproduced);
    CHECK(judge_shuffle_speed(*paper).verdict == Verdict::kReproduced);
  }
  CHECK(judge_drop_shrinks(real).verdict == Verdict::kReproduced);
  CHECK(judge_drop_shrinks(quickdraw).verdict == Verdict::kNotReproduced);
  CHECK(judge_drop_stays(quickdraw).verdict == Verdict::kReproduced);
  CHECK(judge_drop_stays(real).verdict == Verdict::kNotReproduced);
}

TEST_CASE("shuffling verdicts that must say no") {
  // Performance that does not depend on the blocks, in RI-T only; speed lost by P-T, too.
  const ShuffleSeries flat =
      series({0.2, 0.4, 0.6}, {0.4, 0.4, 0.4}, {0.4, 0.7, 0.9}, {0.4, 0.7, 0.9});
  CHECK(judge_shuffle_falls(Metric::kAccuracy, flat).verdict == Verdict::kNotReproduced);
  CHECK(judge_shuffle_speed(flat).verdict == Verdict::kNotReproduced);
  // P-T flat, and RI-T as flat as it.
  const ShuffleSeries both_flat =
      series({0.2, 0.4, 0.6}, {0.1, 0.2, 0.3}, {0.9, 0.9, 0.9}, {0.9, 0.9, 0.9});
  CHECK(judge_shuffle_speed(both_flat).verdict == Verdict::kNotReproduced);
}

TEST_CASE("shuffling verdicts without enough data") {
  ShuffleSeries one_seed =
      series({0.2, 0.4, 0.6}, {0.1, 0.2, 0.3}, {0.8, 0.8, 0.9}, {0.1, 0.7, 0.9}, 1);
  ShuffleSeries two_blocks = series({0.2, 0.6}, {0.1, 0.3}, {0.8, 0.9}, {0.1, 0.9});
  two_blocks.settings = {"block 1", "unshuffled"};
  const ShuffleSeries nothing;
  for (const auto& [series, verdict] :
       std::vector<std::pair<ShuffleSeries, Verdict>>{{one_seed, Verdict::kNotEnough},
                                                      {two_blocks, Verdict::kNotEnough},
                                                      {nothing, Verdict::kNotRun}}) {
    CHECK(judge_shuffle_falls(Metric::kAccuracy, series).verdict == verdict);
    CHECK(judge_drop_shrinks(series).verdict == verdict);
    CHECK(judge_drop_stays(series).verdict == verdict);
    CHECK(judge_shuffle_speed(series).verdict == verdict);
  }
  // A slope around 0 with a wide interval says nothing of either claim.
  ShuffleSeries noisy = series({0.5, 0.5, 0.5}, {0.4, 0.4, 0.4}, {0.8, 0.8, 0.8}, {0.4, 0.6, 0.8});
  noisy.randinit = {{0.30, 0.40, 0.50}, {0.50, 0.40, 0.30}, {0.40, 0.40, 0.40}};
  CHECK(judge_drop_stays(noisy).verdict == Verdict::kNotEnough);
  CHECK(judge_drop_shrinks(noisy).verdict == Verdict::kNotReproduced);
  // A P-T that is right on nothing.
  ShuffleSeries zero = series({0.0, 0.3, 0.5}, {0.1, 0.2, 0.3}, {0.8, 0.8, 0.8}, {0.4, 0.6, 0.8});
  CHECK(judge_drop_shrinks(zero).verdict == Verdict::kNotEnough);
  CHECK(judge_drop_stays(zero).verdict == Verdict::kNotEnough);
}
