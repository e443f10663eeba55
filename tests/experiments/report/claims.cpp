// Figures in words.
#include "experiments/report/claims.h"

#include <doctest/doctest.h>

#include <string>

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
