// Verdicts on criticality: numbers for which each must say yes, no, or neither.
#include "experiments/criticality/claims.h"

#include <doctest/doctest.h>

#include <limits>
#include <span>
#include <vector>

using namespace basin;
using namespace basin::report;

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
}
