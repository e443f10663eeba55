// Verdicts on distances: numbers for which each must say yes, no, or neither.
#include "experiments/distance/claims.h"

#include <doctest/doctest.h>

using namespace basin;
using namespace basin::report;

TEST_CASE("distance verdicts") {
  CHECK(judge_closer(193.45, 815.08).verdict == Verdict::kReproduced);
  CHECK(judge_closer(193.45, 815.08).measured == "193.45 against 815.08 (ratio 0.24)");
  CHECK(judge_closer(5.0, 5.0).verdict == Verdict::kNotReproduced);
  CHECK(judge_closer(6.0, 5.0).verdict == Verdict::kNotReproduced);
  CHECK(judge_closer({}, 5.0).verdict == Verdict::kNotRun);
  CHECK(judge_closer(5.0, {}).verdict == Verdict::kNotRun);
}
