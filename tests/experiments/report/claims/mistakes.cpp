// Verdicts on shared mistakes: numbers for which each must say yes, no, or neither.
#include "experiments/mistakes/claims.h"

#include <doctest/doctest.h>

using namespace basin;
using namespace basin::report;

TEST_CASE("common mistakes by hand") {
  const MistakeCounts counts{"all", 1000, 150, 30, 20};
  CHECK(counts.either_wrong() == 200);
  CHECK(*common_ratio(counts) == doctest::Approx(0.75));
  // Error rates 0.18 and 0.17: both wrong by chance 0.0306 of 0.3194.
  CHECK(*independent_ratio(counts) == doctest::Approx(0.0306 / 0.3194));
  CHECK(!common_ratio({"all", 1000, 0, 0, 0}));
  CHECK(!independent_ratio({"all", 1000, 0, 0, 0}));
}

TEST_CASE("shared mistakes verdicts") {
  const MistakeCounts alike{"all", 2000, 300, 60, 40}, apart{"all", 2000, 200, 200, 200},
      few{"all", 2000, 10, 5, 5};
  const auto verdict = [](const MistakeCounts& a, const MistakeCounts& b) {
    return judge_shared_mistakes(&a, &b).verdict;
  };
  CHECK(verdict(alike, apart) == Verdict::kReproduced);
  CHECK(verdict(apart, alike) == Verdict::kNotReproduced);
  CHECK(verdict(alike, alike) == Verdict::kNotEnough);
  CHECK(verdict(alike, few) == Verdict::kNotEnough);
  CHECK(judge_shared_mistakes(&alike, nullptr).verdict == Verdict::kNotRun);
  CHECK(judge_shared_mistakes(nullptr, &apart).verdict == Verdict::kNotRun);
  // 40 of 60 against 35 of 60: a difference within the error.
  CHECK(verdict({"all", 2000, 40, 10, 10}, {"all", 2000, 35, 15, 10}) == Verdict::kNotEnough);
}
