// Figures in words, and every verdict: numbers for which it must say yes, no, or neither.
#include "experiments/report/claims.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "experiments/checkpoints/claims.h"
#include "experiments/cka/claims.h"
#include "experiments/criticality/claims.h"
#include "experiments/curves/claims.h"
#include "experiments/distance/claims.h"
#include "experiments/extent/claims.h"
#include "experiments/interpolate/claims.h"
#include "experiments/mistakes/claims.h"
#include "experiments/rewind/claims.h"
#include "experiments/shuffle/claims.h"

namespace basin::report::claim_cases {

using enum Metric;
using enum Verdict;
using Values = std::vector<double>;
using Modules = std::vector<ModuleValue>;

namespace {

// Modules named "0", "1", ... with these values.
Modules modules(const Values& values) {
  Modules made;
  for (std::size_t i = 0; i < values.size(); ++i) made.push_back({std::to_string(i), values[i]});
  return made;
}

// Criticality that grows with depth, and a larger one that does not; infinite values are the
// largest.
const Modules kLow = {
    {"conv1", 0.1}, {"layer1.0", 0.2}, {"layer2.0", 0.3}, {"layer3.0", 0.4}, {"fc", 2}};
const Modules kHigh = {
    {"conv1", 9}, {"layer1.0", 5}, {"layer2.0", INFINITY}, {"layer3.0", 3}, {"fc", 4}};

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

TEST_CASE("figures are printed in the unit of their metric") {
  CHECK(format_performance(kAccuracy, 0.784) == "78.4 %");
  CHECK(format_performance(kAuc, 0.7884) == "0.788");
  CHECK(format_difference(kAccuracy, 0.031) == "+3.1 points");
  CHECK(format_difference(kAuc, -0.0312) == "\u22120.031");
  CHECK(format_size(kAccuracy, 0.031) == "3.1 points");
  CHECK(format_interval(kAccuracy, -0.01, 0.031) == "\u22121.0 to +3.1 points");
  CHECK(format_interval(kAuc, -0.01, 0.031) == "\u22120.010 to +0.031");
}

TEST_CASE("a measure that grows with depth") {
  const auto deeper = [](const Modules& values) { return judge_depth(values).verdict; };
  CHECK(deeper(modules({1, 2, 3, 4})) == kReproduced);
  CHECK(deeper(modules({1, 2, 4, 3})) == kNotEnough);  // p = 4 / 24
  CHECK(deeper(modules({4, 3, 2, 1})) == kNotReproduced);
  CHECK(deeper(modules({1, 2, 3})) == kNotEnough);
  CHECK(deeper({}) == kNotRun);
  // fc does not count, on either side.
  Modules with_fc = modules({1, 2, 3, 4});
  with_fc.push_back({"fc", 0});
  CHECK(deeper(with_fc) == kReproduced);
  Modules three = modules({1, 2, 3});
  three.push_back({"fc", 4});
  CHECK(deeper(three) == kNotEnough);
  CHECK(deeper(kLow) == kReproduced);
  CHECK(deeper(kHigh) == kNotReproduced);
  CHECK(deeper({kLow.begin(), kLow.begin() + 3}) == kNotEnough);
  Modules swapped = kLow;
  std::swap(swapped[2].value, swapped[3].value);
  CHECK(deeper(swapped) == kNotEnough);
}

TEST_CASE("transfer helps only if the whole interval lies above 0") {
  const auto helps = [](const Values& finetune, const Values& randinit) {
    return judge_transfer_helps(kAccuracy, finetune, randinit).verdict;
  };
  CHECK(helps({0.80, 0.81, 0.82}, {0.70, 0.72, 0.71}) == kReproduced);
  // The same mean gain with a spread that hides it: differences 0.3, 0.0, 0.0.
  CHECK(helps({1.0, 0.7, 0.7}, {0.7, 0.7, 0.7}) == kNotReproduced);
  CHECK(helps({0.70, 0.72, 0.71}, {0.80, 0.81, 0.82}) == kNotReproduced);
  CHECK(helps({0.7, 0.7}, {0.7, 0.7}) == kNotReproduced);
  // Two runs: the factor 12.7 asks for a spread much smaller than the gain.
  CHECK(helps({0.80, 0.82}, {0.70, 0.70}) == kNotReproduced);
  CHECK(helps({0.80, 0.801}, {0.70, 0.70}) == kReproduced);
  CHECK(helps({0.9}, {0.1}) == kNotEnough);
  CHECK(helps({}, {}) == kNotRun);
}

TEST_CASE("the gain on one target larger than on another") {
  const auto larger = [](const Values& near, const Values& far) {
    return judge_larger_gain(kAccuracy, near, far).verdict;
  };
  CHECK(larger({0.17, 0.16, 0.18}, {0.03, 0.02, 0.04}) == kReproduced);
  CHECK(larger({0.03, 0.02, 0.04}, {0.17, 0.16, 0.18}) == kNotReproduced);
  // The paper's 16.9 and 16.0 points with a spread that hides the difference.
  CHECK(larger({0.169, 0.150, 0.188}, {0.160, 0.140, 0.180}) == kNotEnough);
  CHECK(larger({0.169}, {0.03, 0.02}) == kNotEnough);
  CHECK(larger({}, {0.03, 0.02}) == kNotRun);
  CHECK(larger({0.03, 0.02}, {}) == kNotRun);
}

TEST_CASE("shuffling: relative drop, and verdicts on the paper's real and quickdraw") {
  CHECK(relative_drop(0.77, 0.449) == doctest::Approx(0.41688).epsilon(1e-4));  // Figure 3: 42 %
  CHECK(relative_drop(0.5, 0.5) == 0);
  // Figure 3 at blocks 1 and 4 and unshuffled.
  const ShuffleSeries real = series({0.137, 0.269, 0.770}, {0.125, 0.237, 0.449},
                                    {0.828, 0.884, 0.951}, {0.465, 0.772, 0.859});
  const ShuffleSeries quickdraw = series({0.097, 0.252, 0.647}, {0.030, 0.192, 0.507},
                                         {0.783, 0.879, 0.937}, {0.023, 0.811, 0.879});
  for (const ShuffleSeries* paper : {&real, &quickdraw}) {
    CHECK(judge_shuffle_falls(kAccuracy, *paper).verdict == kReproduced);
    CHECK(judge_shuffle_speed(*paper).verdict == kReproduced);
  }
  CHECK(judge_drop_shrinks(real).verdict == kReproduced);
  CHECK(judge_drop_shrinks(quickdraw).verdict == kNotReproduced);
  CHECK(judge_drop_stays(quickdraw).verdict == kReproduced);
  CHECK(judge_drop_stays(real).verdict == kNotReproduced);
}

TEST_CASE("shuffling verdicts that must say no, and without enough data") {
  // Performance that does not depend on the blocks, in RI-T only; speed lost by P-T, too.
  const ShuffleSeries flat =
      series({0.2, 0.4, 0.6}, {0.4, 0.4, 0.4}, {0.4, 0.7, 0.9}, {0.4, 0.7, 0.9});
  CHECK(judge_shuffle_falls(kAccuracy, flat).verdict == kNotReproduced);
  CHECK(judge_shuffle_speed(flat).verdict == kNotReproduced);
  // P-T flat, and RI-T as flat as it.
  const ShuffleSeries both_flat =
      series({0.2, 0.4, 0.6}, {0.1, 0.2, 0.3}, {0.9, 0.9, 0.9}, {0.9, 0.9, 0.9});
  CHECK(judge_shuffle_speed(both_flat).verdict == kNotReproduced);

  const ShuffleSeries one_seed =
      series({0.2, 0.4, 0.6}, {0.1, 0.2, 0.3}, {0.8, 0.8, 0.9}, {0.1, 0.7, 0.9}, 1);
  ShuffleSeries two_blocks = series({0.2, 0.6}, {0.1, 0.3}, {0.8, 0.9}, {0.1, 0.9});
  two_blocks.settings = {"block 1", "unshuffled"};
  const ShuffleSeries nothing;
  for (const auto& [series, verdict] : std::vector<std::pair<ShuffleSeries, Verdict>>{
           {one_seed, kNotEnough}, {two_blocks, kNotEnough}, {nothing, kNotRun}}) {
    CHECK(judge_shuffle_falls(kAccuracy, series).verdict == verdict);
    CHECK(judge_drop_shrinks(series).verdict == verdict);
    CHECK(judge_drop_stays(series).verdict == verdict);
    CHECK(judge_shuffle_speed(series).verdict == verdict);
  }
  // A slope around 0 with a wide interval says nothing of either claim.
  ShuffleSeries noisy = series({0.5, 0.5, 0.5}, {0.4, 0.4, 0.4}, {0.8, 0.8, 0.8}, {0.4, 0.6, 0.8});
  noisy.randinit = {{0.30, 0.40, 0.50}, {0.50, 0.40, 0.30}, {0.40, 0.40, 0.40}};
  CHECK(judge_drop_stays(noisy).verdict == kNotEnough);
  CHECK(judge_drop_shrinks(noisy).verdict == kNotReproduced);
  // A P-T that is right on nothing.
  ShuffleSeries zero = series({0.0, 0.3, 0.5}, {0.1, 0.2, 0.3}, {0.8, 0.8, 0.8}, {0.4, 0.6, 0.8});
  CHECK(judge_drop_shrinks(zero).verdict == kNotEnough);
  CHECK(judge_drop_stays(zero).verdict == kNotEnough);
}

TEST_CASE("common mistakes by hand, and verdicts on shared ones") {
  const MistakeCounts counts{"all", 1000, 150, 30, 20};
  CHECK(counts.either_wrong() == 200);
  CHECK(*common_ratio(counts) == doctest::Approx(0.75));
  // Error rates 0.18 and 0.17: both wrong by chance 0.0306 of 0.3194.
  CHECK(*independent_ratio(counts) == doctest::Approx(0.0306 / 0.3194));
  CHECK(!common_ratio({"all", 1000, 0, 0, 0}));
  CHECK(!independent_ratio({"all", 1000, 0, 0, 0}));

  const MistakeCounts alike{"all", 2000, 300, 60, 40}, apart{"all", 2000, 200, 200, 200},
      few{"all", 2000, 10, 5, 5};
  const auto verdict = [](const MistakeCounts& a, const MistakeCounts& b) {
    return judge_shared_mistakes(&a, &b).verdict;
  };
  CHECK(verdict(alike, apart) == kReproduced);
  CHECK(verdict(apart, alike) == kNotReproduced);
  CHECK(verdict(alike, alike) == kNotEnough);
  CHECK(verdict(alike, few) == kNotEnough);
  CHECK(judge_shared_mistakes(&alike, nullptr).verdict == kNotRun);
  CHECK(judge_shared_mistakes(nullptr, &apart).verdict == kNotRun);
  // 40 of 60 against 35 of 60: a difference within the error.
  CHECK(verdict({"all", 2000, 40, 10, 10}, {"all", 2000, 35, 15, 10}) == kNotEnough);
}

TEST_CASE("feature verdicts on the paper's Table 1") {
  const Modules pretrained = modules({0.6225, 0.4592, 0.2896, 0.1877, 0.0453});
  const Modules finetune = modules({0.6710, 0.8230, 0.6052, 0.4089, 0.1628});
  const Modules mixed = modules({0.0036, 0.0011, 0.0022, 0.0003, 0.0808});
  const Modules randinit = modules({0.0016, 0.0088, 0.0004, 0.0004, 0.0424});
  CHECK(judge_features(finetune, mixed, randinit).verdict == kReproduced);
  CHECK(judge_pretrained_features(pretrained, mixed, randinit).verdict == kReproduced);
  // In the last stage P-T & P is below P-T & RI-T; only the second rule looks away there.
  CHECK(judge_features(pretrained, mixed, randinit).verdict == kNotReproduced);
  CHECK(judge_features(randinit, mixed, finetune).verdict == kNotReproduced);
  CHECK(judge_pretrained_features(mixed, pretrained, randinit).verdict == kNotReproduced);
  // A lead of less than 0.01 in one stage.
  const Modules close = modules({0.5, 0.5, 0.085});
  CHECK(judge_features(close, modules({0.1, 0.1, 0.08}), modules({0.1, 0.1, 0.08})).verdict ==
        kNotEnough);
  CHECK(judge_features({}, mixed, randinit).verdict == kNotRun);
  CHECK(judge_features(finetune, {}, randinit).verdict == kNotRun);
  CHECK(judge_pretrained_features({}, mixed, randinit).verdict == kNotRun);
}

TEST_CASE("barriers: the band is one point, or the sampling error of a small test set; verdicts") {
  BarrierMeasurement line{kAccuracy, 0, 0.8, 0.8, {}};
  CHECK(barrier_band(line) == 0.01);
  line.test_size = 100000;
  CHECK(barrier_band(line) == 0.01);
  line.test_size = 1000;  // 1.96 sqrt(2 * 0.16 / 1000)
  CHECK(barrier_band(line) == doctest::Approx(0.0350615).epsilon(1e-5));
  line.metric = kAuc;
  CHECK(barrier_band(line) == 0.01);

  const auto no_barrier = [](double height, std::optional<std::int64_t> size) {
    return judge_no_barrier(BarrierMeasurement{kAccuracy, height, 0.8, 0.8, size}).verdict;
  };
  const auto barrier = [](double height, std::optional<std::int64_t> size) {
    return judge_barrier(BarrierMeasurement{kAccuracy, height, 0.8, 0.8, size}).verdict;
  };
  CHECK(no_barrier(0.009, {}) == kReproduced);
  CHECK(no_barrier(0.011, {}) == kNotReproduced);
  CHECK(no_barrier(0.03, 1000) == kReproduced);
  CHECK(no_barrier(0.04, 1000) == kNotReproduced);
  // 100 images: the band is 11 points, and a fall inside it shows nothing.
  CHECK(no_barrier(0.005, 100) == kNotEnough);
  CHECK(no_barrier(0.3, 100) == kNotReproduced);
  CHECK(barrier(0.6, {}) == kReproduced);
  CHECK(barrier(0.6, 100) == kReproduced);
  CHECK(barrier(0.009, {}) == kNotReproduced);
  CHECK(barrier(0.03, 1000) == kNotReproduced);
  CHECK(judge_no_barrier({}).verdict == kNotRun);
  CHECK(judge_barrier({}).verdict == kNotRun);
}

TEST_CASE("a lower barrier from equal weights") {
  const auto lower = [](std::optional<double> same, std::optional<double> different) {
    const auto line = [](std::optional<double> height) -> std::optional<BarrierMeasurement> {
      if (!height) return std::nullopt;
      return BarrierMeasurement{kAccuracy, *height, 0.6, 0.6, 100000};
    };
    return judge_lower_barrier(line(same), line(different)).verdict;
  };
  CHECK(lower(0.477, 0.638) == kReproduced);  // quickdraw, Figures 16 and 4
  CHECK(lower(0.638, 0.477) == kNotReproduced);
  CHECK(lower(0.600, 0.605) == kNotEnough);
  CHECK(lower({}, 0.638) == kNotRun);
  CHECK(lower(0.477, {}) == kNotRun);
}

TEST_CASE("distance verdicts") {
  CHECK(judge_closer(193.45, 815.08).verdict == kReproduced);
  CHECK(judge_closer(193.45, 815.08).measured == "193.45 against 815.08 (ratio 0.24)");
  CHECK(judge_closer(5.0, 5.0).verdict == kNotReproduced);
  CHECK(judge_closer(6.0, 5.0).verdict == kNotReproduced);
  CHECK(judge_closer({}, 5.0).verdict == kNotRun);
  CHECK(judge_closer(5.0, {}).verdict == kNotRun);
}

TEST_CASE("basin verdicts") {
  const BasinExtent paper{0.0038, 49.14, 500};  // real
  const BasinExtent none{0.0038, {}, 500};
  const BasinExtent wide{0.25, 49.14, 500};
  CHECK(judge_basin(&paper).verdict == kReproduced);
  CHECK(judge_basin(&none).verdict == kNotReproduced);
  CHECK(judge_basin(nullptr).verdict == kNotRun);
  CHECK(judge_no_common_basin(&paper, &wide).verdict == kReproduced);
  CHECK(judge_no_common_basin(&paper, &none).verdict == kNotReproduced);
  CHECK(judge_no_common_basin(&wide, &paper).verdict == kNotReproduced);
  CHECK(judge_no_common_basin(&paper, nullptr).verdict == kNotRun);
  CHECK(judge_no_common_basin(nullptr, &paper).verdict == kNotRun);
}

TEST_CASE("rewinding verdicts") {
  // Figure 5 of the paper: P-T, RI-T at the rates 0.02 and 0.1, without the inner blocks but one.
  const Modules finetune = {{"none", 0.734},     {"conv1", 0.724},    {"layer1.0", 0.729},
                            {"layer1.1", 0.733}, {"layer2.0", 0.726}, {"layer3.0", 0.719},
                            {"layer4.0", 0.716}, {"layer4.2", 0.710}, {"fc", 0.693}};
  const Modules slow = {{"none", 0.704},     {"conv1", 0.507},    {"layer1.0", 0.638},
                        {"layer1.1", 0.701}, {"layer2.0", 0.655}, {"layer3.0", 0.641},
                        {"layer4.0", 0.675}, {"fc", 0.690}};
  const Modules fast = {{"none", 0.702},     {"conv1", 0.562},    {"layer1.0", 0.679},
                        {"layer1.1", 0.701}, {"layer2.0", 0.658}, {"layer3.0", 0.543},
                        {"layer4.0", 0.609}, {"fc", 0.690}};
  CHECK(*critical_drop(finetune) == doctest::Approx(0.0112));
  CHECK(*critical_drop(slow) == doctest::Approx(0.0808));
  CHECK(*critical_drop(fast) == doctest::Approx(0.0918));
  CHECK(judge_rewinding(kAuc, finetune, slow).verdict == kReproduced);
  CHECK(judge_rewinding(kAuc, slow, finetune).verdict == kNotReproduced);
  CHECK(judge_rewinding(kAuc, finetune, finetune).verdict == kNotReproduced);
  CHECK(judge_rewinding(kAuc, finetune, {}).verdict == kNotRun);
  const Modules no_intact = {{"conv1", 0.5}};
  CHECK(judge_rewinding(kAuc, finetune, no_intact).verdict == kNotRun);

  CHECK(judge_classifier(kAuc, finetune).verdict == kReproduced);
  CHECK(judge_classifier(kAuc, slow).verdict == kNotReproduced);
  CHECK(judge_classifier(kAuc, {}).verdict == kNotRun);
}

TEST_CASE("criticality verdicts") {
  Modules mixed = kHigh;
  mixed[0].value = 0.05;
  mixed[3].value = 0.2;
  mixed[4].value = 1;
  Modules almost = kHigh;
  almost[4].value = 1;
  CHECK(judge_criticality(kLow, kHigh).verdict == kReproduced);
  CHECK(judge_criticality(kHigh, kLow).verdict == kNotReproduced);
  CHECK(judge_criticality(kLow, mixed).verdict == kNotReproduced);  // 2 of 5
  CHECK(judge_criticality(kLow, almost).verdict == kNotEnough);     // 4 of 5: p = 0.19
  CHECK(judge_criticality(kLow, kLow).verdict == kNotEnough);       // all equal
  CHECK(judge_criticality(std::span(kLow).first(4), kHigh).verdict == kNotEnough);
  CHECK(judge_criticality({}, kHigh).verdict == kNotRun);
  CHECK(judge_criticality(kLow, {}).verdict == kNotRun);
}

TEST_CASE("checkpoint verdicts") {
  const auto early = [](const CheckpointSeries& series) {
    return judge_early_gain(kAccuracy, series).verdict;
  };
  const auto plateau = [](const CheckpointSeries& series) {
    return judge_plateau(kAccuracy, series).verdict;
  };
  // The paper's real: Figure 7 at 0, 10, 30, 60 and 90.
  CheckpointSeries real{{0, 10, 30, 60, 90},
                        {{0.613, 0.735, 0.765, 0.784, 0.784}, {0.611, 0.733, 0.766, 0.784, 0.785}}};
  CHECK(early(real) == kReproduced);
  CHECK(plateau(real) == kReproduced);
  // A gain that comes late, and a checkpoint at two thirds that is worse by far.
  CheckpointSeries late{{0, 10, 30, 60, 90},
                        {{0.60, 0.61, 0.62, 0.65, 0.78}, {0.60, 0.61, 0.63, 0.66, 0.78}}};
  CHECK(early(late) == kNotReproduced);
  CHECK(plateau(late) == kNotReproduced);
  // Not enough data.
  CHECK(early({}) == kNotRun);
  CHECK(plateau({}) == kNotRun);
  CHECK(early({{0, 1, 4}, {{0.5, 0.7, 0.8}}}) == kNotEnough);  // one seed
  CHECK(plateau({{0, 1, 4}, {{0.5, 0.7, 0.8}}}) == kNotEnough);
  const std::vector<Values> two = {{0.5, 0.7, 0.8}, {0.51, 0.71, 0.8}};
  CHECK(early({{0, 1, 4}, two}) == kReproduced);
  CHECK(early({{0, 2, 4}, two}) == kNotEnough);    // no early checkpoint
  CHECK(early({{1, 2, 9}, two}) == kNotEnough);    // no checkpoint 0
  CHECK(plateau({{0, 3, 4}, two}) == kNotEnough);  // none within two thirds
  // No gain to speak of half of, and a difference of wide interval.
  CHECK(early({{0, 1, 4}, {{0.5, 0.5, 0.6}, {0.6, 0.6, 0.5}}}) == kNotEnough);
  CHECK(plateau({{0, 1, 4}, {{0.5, 0.7, 0.8}, {0.5, 0.8, 0.7}}}) == kNotEnough);
}

}  // namespace basin::report::claim_cases
