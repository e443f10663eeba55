// Each verdict with numbers for which it must say yes, and with numbers for which it must say no.
#include "experiments/claims.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/check.h"

using namespace basin;
using Values = std::vector<double>;

namespace {
Verdict helps(const Values& finetune, const Values& randinit) {
  return judge_transfer_helps(Metric::kAccuracy, finetune, randinit).verdict;
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

TEST_CASE("barrier height by hand") {
  const Values lambda = {0, 0.5, 1};
  CHECK(barrier_height(lambda, Values{0.8, 0.1, 0.6}, true) == doctest::Approx(0.6));
  CHECK(barrier_height(lambda, Values{0.8, 0.9, 0.6}, true) == 0);
  CHECK(barrier_height(lambda, Values{0.5, 2.0, 0.7}, false) == doctest::Approx(1.4));
  CHECK(barrier_height(lambda, Values{0.5, 0.2, 0.7}, false) == 0);
  CHECK(std::isinf(
      barrier_height(lambda, Values{0.5, std::numeric_limits<double>::quiet_NaN(), 0.7}, false)));
  CHECK_THROWS_AS(barrier_height(Values{0, 1}, Values{1, 1}, true), Error);
  CHECK_THROWS_AS(barrier_height(Values{0, 0.5, 0.9}, Values{1, 1, 1}, true), Error);
  CHECK_THROWS_AS(barrier_height(Values{0, 0.5, 1}, Values{1, 1}, true), Error);
}

TEST_CASE("the band is one point, or the sampling error of a small test set") {
  BarrierMeasurement line{0, 0.8, 0.8, std::nullopt};
  CHECK(barrier_band(Metric::kAccuracy, line) == 0.01);
  line.test_size = 100000;
  CHECK(barrier_band(Metric::kAccuracy, line) == 0.01);
  line.test_size = 1000;  // 1.96 sqrt(2 * 0.16 / 1000)
  CHECK(barrier_band(Metric::kAccuracy, line) == doctest::Approx(0.0350615).epsilon(1e-5));
  CHECK(barrier_band(Metric::kAuc, line) == 0.01);
}

TEST_CASE("barrier verdicts") {
  const auto no_barrier = [](double height, std::optional<std::int64_t> size) {
    return judge_no_barrier(Metric::kAccuracy, BarrierMeasurement{height, 0.8, 0.8, size}).verdict;
  };
  const auto barrier = [](double height, std::optional<std::int64_t> size) {
    return judge_barrier(Metric::kAccuracy, BarrierMeasurement{height, 0.8, 0.8, size}).verdict;
  };
  CHECK(no_barrier(0.009, {}) == Verdict::kReproduced);
  CHECK(no_barrier(0.011, {}) == Verdict::kNotReproduced);
  CHECK(no_barrier(0.03, 1000) == Verdict::kReproduced);
  CHECK(no_barrier(0.04, 1000) == Verdict::kNotReproduced);
  // 100 images: the band is 11 points, and a fall inside it shows nothing.
  CHECK(no_barrier(0.005, 100) == Verdict::kNotEnough);
  CHECK(no_barrier(0.3, 100) == Verdict::kNotReproduced);
  CHECK(barrier(0.6, {}) == Verdict::kReproduced);
  CHECK(barrier(0.6, 100) == Verdict::kReproduced);
  CHECK(barrier(0.009, {}) == Verdict::kNotReproduced);
  CHECK(barrier(0.03, 1000) == Verdict::kNotReproduced);
  CHECK(judge_no_barrier(Metric::kAccuracy, {}).verdict == Verdict::kNotRun);
  CHECK(judge_barrier(Metric::kAccuracy, {}).verdict == Verdict::kNotRun);
}

TEST_CASE("distance verdicts") {
  CHECK(judge_closer(193.45, 815.08).verdict == Verdict::kReproduced);
  CHECK(judge_closer(193.45, 815.08).measured == "193.45 against 815.08 (ratio 0.24)");
  CHECK(judge_closer(5.0, 5.0).verdict == Verdict::kNotReproduced);
  CHECK(judge_closer(6.0, 5.0).verdict == Verdict::kNotReproduced);
  CHECK(judge_closer({}, 5.0).verdict == Verdict::kNotRun);
  CHECK(judge_closer(5.0, {}).verdict == Verdict::kNotRun);
}

TEST_CASE("rewinding verdicts") {
  // Figure 5 of the paper: P-T, RI-T at the rates 0.02 and 0.1, without the inner blocks but one.
  const std::vector<ModuleScore> finetune = {
      {"none", 0.734},     {"conv1", 0.724},    {"layer1.0", 0.729},
      {"layer1.1", 0.733}, {"layer2.0", 0.726}, {"layer3.0", 0.719},
      {"layer4.0", 0.716}, {"layer4.2", 0.710}, {"fc", 0.693}};
  const std::vector<ModuleScore> slow = {
      {"none", 0.704},     {"conv1", 0.507},    {"layer1.0", 0.638}, {"layer1.1", 0.701},
      {"layer2.0", 0.655}, {"layer3.0", 0.641}, {"layer4.0", 0.675}, {"fc", 0.690}};
  const std::vector<ModuleScore> fast = {
      {"none", 0.702},     {"conv1", 0.562},    {"layer1.0", 0.679}, {"layer1.1", 0.701},
      {"layer2.0", 0.658}, {"layer3.0", 0.543}, {"layer4.0", 0.609}, {"fc", 0.690}};
  CHECK(*critical_drop(finetune) == doctest::Approx(0.0112));
  CHECK(*critical_drop(slow) == doctest::Approx(0.0808));
  CHECK(*critical_drop(fast) == doctest::Approx(0.0918));
  CHECK(judge_rewinding(Metric::kAuc, finetune, slow).verdict == Verdict::kReproduced);
  CHECK(judge_rewinding(Metric::kAuc, slow, finetune).verdict == Verdict::kNotReproduced);
  CHECK(judge_rewinding(Metric::kAuc, finetune, finetune).verdict == Verdict::kNotReproduced);
  CHECK(judge_rewinding(Metric::kAuc, finetune, {}).verdict == Verdict::kNotRun);
  const std::vector<ModuleScore> no_intact = {{"conv1", 0.5}};
  CHECK(judge_rewinding(Metric::kAuc, finetune, no_intact).verdict == Verdict::kNotRun);

  CHECK(judge_classifier(Metric::kAuc, finetune).verdict == Verdict::kReproduced);
  CHECK(judge_classifier(Metric::kAuc, slow).verdict == Verdict::kNotReproduced);
  CHECK(judge_classifier(Metric::kAuc, {}).verdict == Verdict::kNotRun);
}

TEST_CASE("figures are printed in the unit of their metric") {
  CHECK(format_performance(Metric::kAccuracy, 0.784) == "78.4 %");
  CHECK(format_performance(Metric::kAuc, 0.7884) == "0.788");
  CHECK(format_difference(Metric::kAccuracy, 0.031) == "+3.1 points");
  CHECK(format_difference(Metric::kAuc, -0.0312) == "\u22120.031");
  CHECK(format_size(Metric::kAccuracy, 0.031) == "3.1 points");
  CHECK(format_interval(Metric::kAccuracy, -0.01, 0.031) == "\u22121.0 to +3.1 points");
  CHECK(format_interval(Metric::kAuc, -0.01, 0.031) == "\u22120.010 to +0.031");
}
