// Verdicts on sweeps: numbers for which each must say yes, no, or neither.
#include "experiments/report/claims_sweeps.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/base/check.h"

using namespace basin;
using namespace basin::report;
using Values = std::vector<double>;

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

TEST_CASE("a lower barrier from equal weights") {
  const auto lower = [](std::optional<double> same, std::optional<double> different) {
    const auto line = [](std::optional<double> height) -> std::optional<BarrierMeasurement> {
      if (!height) return std::nullopt;
      return BarrierMeasurement{*height, 0.6, 0.6, 100000};
    };
    return judge_lower_barrier(Metric::kAccuracy, line(same), line(different)).verdict;
  };
  CHECK(lower(0.477, 0.638) == Verdict::kReproduced);  // quickdraw, Figures 16 and 4
  CHECK(lower(0.638, 0.477) == Verdict::kNotReproduced);
  CHECK(lower(0.600, 0.605) == Verdict::kNotEnough);
  CHECK(lower({}, 0.638) == Verdict::kNotRun);
  CHECK(lower(0.477, {}) == Verdict::kNotRun);
}

TEST_CASE("basin verdicts") {
  const BasinExtent paper{0.0038, 49.14, 500};  // real
  const BasinExtent none{0.0038, {}, 500};
  const BasinExtent wide{0.25, 49.14, 500};
  CHECK(judge_basin(paper).verdict == Verdict::kReproduced);
  CHECK(judge_basin(none).verdict == Verdict::kNotReproduced);
  CHECK(judge_basin({}).verdict == Verdict::kNotRun);
  CHECK(judge_no_common_basin(paper, wide).verdict == Verdict::kReproduced);
  CHECK(judge_no_common_basin(paper, none).verdict == Verdict::kNotReproduced);
  CHECK(judge_no_common_basin(wide, paper).verdict == Verdict::kNotReproduced);
  CHECK(judge_no_common_basin(paper, {}).verdict == Verdict::kNotRun);
  CHECK(judge_no_common_basin({}, paper).verdict == Verdict::kNotRun);
}

TEST_CASE("criticality verdicts") {
  const double infinite = std::numeric_limits<double>::infinity();
  const std::vector<ModuleValue> low = {
      {"conv1", 0.1}, {"layer1.0", 0.2}, {"layer2.0", 0.3}, {"layer3.0", 0.4}, {"fc", 2}};
  const std::vector<ModuleValue> high = {
      {"conv1", 9}, {"layer1.0", 5}, {"layer2.0", infinite}, {"layer3.0", 3}, {"fc", 4}};
  std::vector<ModuleValue> mixed = high;
  mixed[0].value = 0.05;
  mixed[3].value = 0.2;
  mixed[4].value = 1;
  std::vector<ModuleValue> almost = high;
  almost[4].value = 1;
  CHECK(judge_criticality(low, high).verdict == Verdict::kReproduced);
  CHECK(judge_criticality(high, low).verdict == Verdict::kNotReproduced);
  CHECK(judge_criticality(low, mixed).verdict == Verdict::kNotReproduced);  // 2 of 5
  CHECK(judge_criticality(low, almost).verdict == Verdict::kNotEnough);     // 4 of 5: p = 0.19
  CHECK(judge_criticality(low, low).verdict == Verdict::kNotEnough);        // all equal
  CHECK(judge_criticality(std::span(low).first(4), high).verdict == Verdict::kNotEnough);
  CHECK(judge_criticality({}, high).verdict == Verdict::kNotRun);
  CHECK(judge_criticality(low, {}).verdict == Verdict::kNotRun);

  CHECK(judge_criticality_depth(low).verdict == Verdict::kReproduced);
  CHECK(judge_criticality_depth(high).verdict == Verdict::kNotReproduced);
  CHECK(judge_criticality_depth(std::span(low).first(3)).verdict == Verdict::kNotEnough);
  CHECK(judge_criticality_depth({}).verdict == Verdict::kNotRun);
  std::vector<ModuleValue> swapped = low;
  std::swap(swapped[2].value, swapped[3].value);
  CHECK(judge_criticality_depth(swapped).verdict == Verdict::kNotEnough);
}
