// Verdicts on rewound modules: numbers for which each must say yes, no, or neither.
#include "experiments/rewind/claims.h"

#include <doctest/doctest.h>

#include <vector>

using namespace basin;
using namespace basin::report;

TEST_CASE("rewinding verdicts") {
  // Figure 5 of the paper: P-T, RI-T at the rates 0.02 and 0.1, without the inner blocks but one.
  const std::vector<ModuleValue> finetune = {
      {"none", 0.734},     {"conv1", 0.724},    {"layer1.0", 0.729},
      {"layer1.1", 0.733}, {"layer2.0", 0.726}, {"layer3.0", 0.719},
      {"layer4.0", 0.716}, {"layer4.2", 0.710}, {"fc", 0.693}};
  const std::vector<ModuleValue> slow = {
      {"none", 0.704},     {"conv1", 0.507},    {"layer1.0", 0.638}, {"layer1.1", 0.701},
      {"layer2.0", 0.655}, {"layer3.0", 0.641}, {"layer4.0", 0.675}, {"fc", 0.690}};
  const std::vector<ModuleValue> fast = {
      {"none", 0.702},     {"conv1", 0.562},    {"layer1.0", 0.679}, {"layer1.1", 0.701},
      {"layer2.0", 0.658}, {"layer3.0", 0.543}, {"layer4.0", 0.609}, {"fc", 0.690}};
  CHECK(*critical_drop(finetune) == doctest::Approx(0.0112));
  CHECK(*critical_drop(slow) == doctest::Approx(0.0808));
  CHECK(*critical_drop(fast) == doctest::Approx(0.0918));
  CHECK(judge_rewinding(Metric::kAuc, finetune, slow).verdict == Verdict::kReproduced);
  CHECK(judge_rewinding(Metric::kAuc, slow, finetune).verdict == Verdict::kNotReproduced);
  CHECK(judge_rewinding(Metric::kAuc, finetune, finetune).verdict == Verdict::kNotReproduced);
  CHECK(judge_rewinding(Metric::kAuc, finetune, {}).verdict == Verdict::kNotRun);
  const std::vector<ModuleValue> no_intact = {{"conv1", 0.5}};
  CHECK(judge_rewinding(Metric::kAuc, finetune, no_intact).verdict == Verdict::kNotRun);

  CHECK(judge_classifier(Metric::kAuc, finetune).verdict == Verdict::kReproduced);
  CHECK(judge_classifier(Metric::kAuc, slow).verdict == Verdict::kNotReproduced);
  CHECK(judge_classifier(Metric::kAuc, {}).verdict == Verdict::kNotRun);
}
