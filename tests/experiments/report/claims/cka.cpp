// Verdicts on features: numbers for which each must say yes, no, or neither.
#include "experiments/cka/claims.h"

#include <doctest/doctest.h>

#include "tests/experiments/report/claims/modules.h"

using namespace basin;
using namespace basin::report;

TEST_CASE("feature verdicts on the paper's Table 1") {
  const Modules pretrained = modules({0.6225, 0.4592, 0.2896, 0.1877, 0.0453});
  const Modules finetune = modules({0.6710, 0.8230, 0.6052, 0.4089, 0.1628});
  const Modules mixed = modules({0.0036, 0.0011, 0.0022, 0.0003, 0.0808});
  const Modules randinit = modules({0.0016, 0.0088, 0.0004, 0.0004, 0.0424});
  CHECK(judge_features(finetune, mixed, randinit).verdict == Verdict::kReproduced);
  CHECK(judge_pretrained_features(pretrained, mixed, randinit).verdict == Verdict::kReproduced);
  // In the last stage P-T & P is below P-T & RI-T; only the second rule looks away there.
  CHECK(judge_features(pretrained, mixed, randinit).verdict == Verdict::kNotReproduced);
  CHECK(judge_features(randinit, mixed, finetune).verdict == Verdict::kNotReproduced);
  CHECK(judge_pretrained_features(mixed, pretrained, randinit).verdict == Verdict::kNotReproduced);
  // A lead of less than 0.01 in one stage.
  const Modules close = modules({0.5, 0.5, 0.085});
  CHECK(judge_features(close, modules({0.1, 0.1, 0.08}), modules({0.1, 0.1, 0.08})).verdict ==
        Verdict::kNotEnough);
  CHECK(judge_features({}, mixed, randinit).verdict == Verdict::kNotRun);
  CHECK(judge_features(finetune, {}, randinit).verdict == Verdict::kNotRun);
  CHECK(judge_pretrained_features({}, mixed, randinit).verdict == Verdict::kNotRun);
}
