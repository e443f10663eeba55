// Verdicts on earlier checkpoints: numbers for which each must say yes, no, or neither.
#include "experiments/checkpoints/claims.h"

#include <doctest/doctest.h>

#include <vector>

using namespace basin;
using namespace basin::report;

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
  const std::vector<std::vector<double>> two = {{0.5, 0.7, 0.8}, {0.51, 0.71, 0.8}};
  CHECK(early({{0, 1, 4}, two}) == Verdict::kReproduced);
  CHECK(early({{0, 2, 4}, two}) == Verdict::kNotEnough);    // no early checkpoint
  CHECK(early({{1, 2, 9}, two}) == Verdict::kNotEnough);    // no checkpoint 0
  CHECK(plateau({{0, 3, 4}, two}) == Verdict::kNotEnough);  // none within two thirds
  // No gain to speak of half of, and a difference of wide interval.
  CHECK(early({{0, 1, 4}, {{0.5, 0.5, 0.6}, {0.6, 0.6, 0.5}}}) == Verdict::kNotEnough);
  CHECK(plateau({{0, 1, 4}, {{0.5, 0.7, 0.8}, {0.5, 0.8, 0.7}}}) == Verdict::kNotEnough);
}
