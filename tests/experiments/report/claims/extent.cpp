// Verdicts on basins: numbers for which each must say yes, no, or neither.
#include "experiments/extent/claims.h"

#include <doctest/doctest.h>

using namespace basin;
using namespace basin::report;

TEST_CASE("basin verdicts") {
  const BasinExtent paper{0.0038, 49.14, 500};  // real
  const BasinExtent none{0.0038, {}, 500};
  const BasinExtent wide{0.25, 49.14, 500};
  CHECK(judge_basin(&paper).verdict == Verdict::kReproduced);
  CHECK(judge_basin(&none).verdict == Verdict::kNotReproduced);
  CHECK(judge_basin(nullptr).verdict == Verdict::kNotRun);
  CHECK(judge_no_common_basin(&paper, &wide).verdict == Verdict::kReproduced);
  CHECK(judge_no_common_basin(&paper, &none).verdict == Verdict::kNotReproduced);
  CHECK(judge_no_common_basin(&wide, &paper).verdict == Verdict::kNotReproduced);
  CHECK(judge_no_common_basin(&paper, nullptr).verdict == Verdict::kNotRun);
  CHECK(judge_no_common_basin(nullptr, &paper).verdict == Verdict::kNotRun);
}
