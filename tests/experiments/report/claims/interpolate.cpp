// Verdicts on barriers: numbers for which each must say yes, no, or neither.
#include "experiments/interpolate/claims.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>

using namespace basin;
using namespace basin::report;

TEST_CASE("the band is one point, or the sampling error of a small test set") {
  BarrierMeasurement line{Metric::kAccuracy, 0, 0.8, 0.8, {}};
  CHECK(barrier_band(line) == 0.01);
  line.test_size = 100000;
  CHECK(barrier_band(line) == 0.01);
  line.test_size = 1000;  // 1.96 sqrt(2 * 0.16 / 1000)
  CHECK(barrier_band(line) == doctest::Approx(0.0350615).epsilon(1e-5));
  line.metric = Metric::kAuc;
  CHECK(barrier_band(line) == 0.01);
}

TEST_CASE("barrier verdicts") {
  const auto no_barrier = [](double height, std::optional<std::int64_t> size) {
    return judge_no_barrier(BarrierMeasurement{Metric::kAccuracy, height, 0.8, 0.8, size}).verdict;
  };
  const auto barrier = [](double height, std::optional<std::int64_t> size) {
    return judge_barrier(BarrierMeasurement{Metric::kAccuracy, height, 0.8, 0.8, size}).verdict;
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
  CHECK(judge_no_barrier({}).verdict == Verdict::kNotRun);
  CHECK(judge_barrier({}).verdict == Verdict::kNotRun);
}

TEST_CASE("a lower barrier from equal weights") {
  const auto lower = [](std::optional<double> same, std::optional<double> different) {
    const auto line = [](std::optional<double> height) -> std::optional<BarrierMeasurement> {
      if (!height) return std::nullopt;
      return BarrierMeasurement{Metric::kAccuracy, *height, 0.6, 0.6, 100000};
    };
    return judge_lower_barrier(line(same), line(different)).verdict;
  };
  CHECK(lower(0.477, 0.638) == Verdict::kReproduced);  // quickdraw, Figures 16 and 4
  CHECK(lower(0.638, 0.477) == Verdict::kNotReproduced);
  CHECK(lower(0.600, 0.605) == Verdict::kNotEnough);
  CHECK(lower({}, 0.638) == Verdict::kNotRun);
  CHECK(lower(0.477, {}) == Verdict::kNotRun);
}
