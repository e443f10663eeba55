// Figures in words, and the rule on measures by depth.
#include "experiments/report/claims.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <utility>

#include "tests/experiments/report/claims/modules.h"

using namespace basin;
using namespace basin::report;

TEST_CASE("figures are printed in the unit of their metric") {
  CHECK(format_performance(Metric::kAccuracy, 0.784) == "78.4 %");
  CHECK(format_performance(Metric::kAuc, 0.7884) == "0.788");
  CHECK(format_difference(Metric::kAccuracy, 0.031) == "+3.1 points");
  CHECK(format_difference(Metric::kAuc, -0.0312) == "\u22120.031");
  CHECK(format_size(Metric::kAccuracy, 0.031) == "3.1 points");
  CHECK(format_interval(Metric::kAccuracy, -0.01, 0.031) == "\u22121.0 to +3.1 points");
  CHECK(format_interval(Metric::kAuc, -0.01, 0.031) == "\u22120.010 to +0.031");
}

TEST_CASE("a measure that grows with depth") {
  const auto deeper = [](const Modules& values) { return judge_depth(values).verdict; };
  CHECK(deeper(modules({1, 2, 3, 4})) == Verdict::kReproduced);
  CHECK(deeper(modules({1, 2, 4, 3})) == Verdict::kNotEnough);  // p = 4 / 24
  CHECK(deeper(modules({4, 3, 2, 1})) == Verdict::kNotReproduced);
  CHECK(deeper(modules({1, 2, 3})) == Verdict::kNotEnough);
  CHECK(deeper({}) == Verdict::kNotRun);
  // fc does not count, on either side.
  Modules with_fc = modules({1, 2, 3, 4});
  with_fc.push_back({"fc", 0});
  CHECK(deeper(with_fc) == Verdict::kReproduced);
  Modules three = modules({1, 2, 3});
  three.push_back({"fc", 4});
  CHECK(deeper(three) == Verdict::kNotEnough);
  // Of criticality; infinite values are the largest.
  const double infinite = std::numeric_limits<double>::infinity();
  const Modules low = {
      {"conv1", 0.1}, {"layer1.0", 0.2}, {"layer2.0", 0.3}, {"layer3.0", 0.4}, {"fc", 2}};
  const Modules high = {
      {"conv1", 9}, {"layer1.0", 5}, {"layer2.0", infinite}, {"layer3.0", 3}, {"fc", 4}};
  CHECK(deeper(low) == Verdict::kReproduced);
  CHECK(deeper(high) == Verdict::kNotReproduced);
  CHECK(deeper({low.begin(), low.begin() + 3}) == Verdict::kNotEnough);
  Modules swapped = low;
  std::swap(swapped[2].value, swapped[3].value);
  CHECK(deeper(swapped) == Verdict::kNotEnough);
}
