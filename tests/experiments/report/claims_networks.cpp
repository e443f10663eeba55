// Verdicts on pairs of networks: numbers for which each must say yes, no, or neither.
#include "experiments/report/claims_networks.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

using namespace basin;
using namespace basin::report;
using Modules = std::vector<ModuleValue>;

namespace {
Modules modules(const std::vector<double>& values) {
  Modules made;
  for (std::size_t i = 0; i < values.size(); ++i) made.push_back({std::to_string(i), values[i]});
  return made;
}
}  // namespace

TEST_CASE("distance verdicts") {
  CHECK(judge_closer(193.45, 815.08).verdict == Verdict::kReproduced);
  CHECK(judge_closer(193.45, 815.08).measured == "193.45 against 815.08 (ratio 0.24)");
  CHECK(judge_closer(5.0, 5.0).verdict == Verdict::kNotReproduced);
  CHECK(judge_closer(6.0, 5.0).verdict == Verdict::kNotReproduced);
  CHECK(judge_closer({}, 5.0).verdict == Verdict::kNotRun);
  CHECK(judge_closer(5.0, {}).verdict == Verdict::kNotRun);
}

TEST_CASE("common mistakes by hand") {
  const MistakeCounts counts{1000, 150, 30, 20};
  CHECK(counts.either_wrong() == 200);
  CHECK(*counts.common_ratio() == doctest::Approx(0.75));
  // Error rates 0.18 and 0.17: both wrong by chance 0.0306 of 0.3194.
  CHECK(*counts.independent_ratio() == doctest::Approx(0.0306 / 0.3194));
  CHECK(!MistakeCounts{1000, 0, 0, 0}.common_ratio());
  CHECK(!MistakeCounts{1000, 0, 0, 0}.independent_ratio());
}

TEST_CASE("shared mistakes verdicts") {
  const MistakeCounts alike{2000, 300, 60, 40}, apart{2000, 200, 200, 200}, few{2000, 10, 5, 5};
  const auto verdict = [](const std::optional<MistakeCounts>& a,
                          const std::optional<MistakeCounts>& b) {
    return judge_shared_mistakes(a, b).verdict;
  };
  CHECK(verdict(alike, apart) == Verdict::kReproduced);
  CHECK(verdict(apart, alike) == Verdict::kNotReproduced);
  CHECK(verdict(alike, alike) == Verdict::kNotEnough);
  CHECK(verdict(alike, few) == Verdict::kNotEnough);
  CHECK(verdict(alike, {}) == Verdict::kNotRun);
  CHECK(verdict({}, apart) == Verdict::kNotRun);
  // 40 of 60 against 35 of 60: a difference within the error.
  CHECK(verdict(MistakeCounts{2000, 40, 10, 10}, MistakeCounts{2000, 35, 15, 10}) ==
        Verdict::kNotEnough);
}

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

TEST_CASE("distance by depth") {
  const auto deeper = [](const Modules& distance) {
    return judge_deeper(distance, distance).verdict;
  };
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
}
