// Verdicts on training runs: numbers for which each must say yes, no, or neither.
#include "experiments/report/claims_runs.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace basin;
using namespace basin::report;
using Values = std::vector<double>;
using Seeds = std::vector<Values>;

namespace {
Verdict helps(const Values& finetune, const Values& randinit) {
  return judge_transfer_helps(Metric::kAccuracy, finetune, randinit).verdict;
}

// Three block sizes; the values of the seeds differ a little.
ShuffleSeries series(const Values& finetune, const Values& randinit, const Values& finetune_speed,
                     const Values& randinit_speed, int seeds = 3) {
  ShuffleSeries made;
  made.settings = {"block 1", "block 4", "unshuffled"};
  const auto spread = [&](const Values& values, Seeds& all) {
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

TEST_CASE("transfer helps only if the whole interval lies above 0") {
  CHECK(helps({0.80, 0.81, 0.82}, {0.70, 0.72, 0.71}) == Verdict::kReproduced);
  // The same mean gain with a spread that hides it: differences 0.3, 0.0, 0.0.
  CHECK(helps({1.0, 0.7, 0.7}, {0.7, 0.7, 0.7}) == Verdict::kNotReproduced);
  CHECK(helps({0.70, 0.72, 0.71}, {0.80, 0.81, 0.82}) == Verdict::kNotReproduced);
  CHECK(helps({0.7, 0.7}, {0.7, 0.7}) == Verdict::kNotReproduced);
  // Two runs: the factor 12.7 asks for a spread much smaller than the gain.
  CHECK(helps({0.80, 0.82}, {0.70, 0.70}) == Verdict::kNotReproduced);
  CHECK(helps({0.80, 0.801}, {0.70, 0.70}) == Verdict::kReproduced);
  CHECK(helps({0.9}, {0.1}) == Verdict::kNotEnough);
  CHECK(helps({}, {}) == Verdict::kNotRun);
}

TEST_CASE("the gain on one target larger than on another") {
  const auto larger = [](const Values& near, const Values& far) {
    return judge_larger_gain(Metric::kAccuracy, near, far).verdict;
  };
  CHECK(larger({0.17, 0.16, 0.18}, {0.03, 0.02, 0.04}) == Verdict::kReproduced);
  CHECK(larger({0.03, 0.02, 0.04}, {0.17, 0.16, 0.18}) == Verdict::kNotReproduced);
  // The paper's 16.9 and 16.0 points with a spread that hides the difference.
  CHECK(larger({0.169, 0.150, 0.188}, {0.160, 0.140, 0.180}) == Verdict::kNotEnough);
  CHECK(larger({0.169}, {0.03, 0.02}) == Verdict::kNotEnough);
  CHECK(larger({}, {0.03, 0.02}) == Verdict::kNotRun);
  CHECK(larger({0.03, 0.02}, {}) == Verdict::kNotRun);
}

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

TEST_CASE("checkpoint verdicts on the paper's real") {
  // Figure 7 at 0, 10, 30, 60 and 90.
  CheckpointSeries real{{0, 10, 30, 60, 90},
                        {{0.613, 0.735, 0.765, 0.784, 0.784}, {0.611, 0.733, 0.766, 0.784, 0.785}}};
  CHECK(judge_early_gain(Metric::kAccuracy, real).verdict == Verdict::kReproduced);
  CHECK(judge_plateau(Metric::kAccuracy, real).verdict == Verdict::kReproduced);
  // A gain that comes late, and a checkpoint at two thirds that is worse by far.
  CheckpointSeries late{{0, 10, 30, 60, 90},
                        {{0.60, 0.61, 0.62, 0.65, 0.78}, {0.60, 0.61, 0.63, 0.66, 0.78}}};
  CHECK(judge_early_gain(Metric::kAccuracy, late).verdict == Verdict::kNotReproduced);
  CHECK(judge_plateau(Metric::kAccuracy, late).verdict == Verdict::kNotReproduced);
}

TEST_CASE("checkpoint verdicts without enough data") {
  const auto early = [](const CheckpointSeries& series) {
    return judge_early_gain(Metric::kAccuracy, series).verdict;
  };
  const auto plateau = [](const CheckpointSeries& series) {
    return judge_plateau(Metric::kAccuracy, series).verdict;
  };
  CHECK(early({}) == Verdict::kNotRun);
  CHECK(plateau({}) == Verdict::kNotRun);
  CHECK(early({{0, 1, 4}, {{0.5, 0.7, 0.8}}}) == Verdict::kNotEnough);  // one seed
  CHECK(plateau({{0, 1, 4}, {{0.5, 0.7, 0.8}}}) == Verdict::kNotEnough);
  const Seeds two = {{0.5, 0.7, 0.8}, {0.51, 0.71, 0.8}};
  CHECK(early({{0, 1, 4}, two}) == Verdict::kReproduced);
  CHECK(early({{0, 2, 4}, two}) == Verdict::kNotEnough);    // no early checkpoint
  CHECK(early({{1, 2, 9}, two}) == Verdict::kNotEnough);    // no checkpoint 0
  CHECK(plateau({{0, 3, 4}, two}) == Verdict::kNotEnough);  // none within two thirds
  // No gain to speak of half of, and a difference of wide interval.
  CHECK(early({{0, 1, 4}, {{0.5, 0.5, 0.6}, {0.6, 0.6, 0.5}}}) == Verdict::kNotEnough);
  CHECK(plateau({{0, 1, 4}, {{0.5, 0.7, 0.8}, {0.5, 0.8, 0.7}}}) == Verdict::kNotEnough);
}
