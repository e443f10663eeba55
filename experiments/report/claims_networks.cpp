// The rules of claims_networks.h, in words and in code.
#include "experiments/report/claims_networks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/report/statistics.h"

namespace basin::report {
namespace {

constexpr std::int64_t kFewestMistakes = 30;
constexpr double kCkaMargin = 0.01;

std::optional<double> value_of(std::span<const ModuleValue> values, const std::string& module) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const ModuleValue& v) { return v.module == module; });
  if (found == values.end() || !std::isfinite(found->value)) return std::nullopt;
  return found->value;
}

// Whether `higher` leads both others by more than the margin in its first `count` modules.
Judgement judge_lead(std::span<const ModuleValue> higher, std::size_t count,
                     std::span<const ModuleValue> mixed, std::span<const ModuleValue> randinit) {
  std::size_t compared = 0, leads = 0;
  double least = 0;
  std::string least_module;
  for (std::size_t m = 0; m < count; ++m) {
    const std::optional<double> a = value_of(mixed, higher[m].module);
    const std::optional<double> b = value_of(randinit, higher[m].module);
    if (!a || !b || !std::isfinite(higher[m].value)) continue;
    const double lead = higher[m].value - std::max(*a, *b);
    if (compared == 0 || lead < least) {
      least = lead;
      least_module = higher[m].module;
    }
    ++compared;
    leads += lead > kCkaMargin;
  }
  if (compared == 0) return judged_not_run();
  const std::string measured =
      fmt::format("ahead in {} of {} stages; smallest lead {}{:.3f} ({})", leads, compared,
                  least < 0 ? "\u2212" : "+", std::abs(least), least_module);
  if (leads == compared) return {Verdict::kReproduced, measured};
  return {least < -kCkaMargin ? Verdict::kNotReproduced : Verdict::kNotEnough, measured};
}

}  // namespace

std::optional<double> MistakeCounts::common_ratio() const {
  if (either_wrong() == 0) return std::nullopt;
  return static_cast<double>(both_wrong) / static_cast<double>(either_wrong());
}

std::optional<double> MistakeCounts::independent_ratio() const {
  if (items == 0 || either_wrong() == 0) return std::nullopt;
  const double first =
      static_cast<double>(both_wrong + only_first_wrong) / static_cast<double>(items);
  const double second =
      static_cast<double>(both_wrong + only_second_wrong) / static_cast<double>(items);
  return first * second / (first + second - first * second);
}

const char* const kSharedMistakesRule =
    "Common ratio: the share of the mistakes of either network that both make. Reproduced if the "
    "lower end of the 95 % confidence interval of the difference (two P-T minus the other pair) "
    "lies above 0; not reproduced if the upper end lies below 0; else not enough data. The "
    "interval is 1.96 \u221a(r\u2081(1\u2212r\u2081)/u\u2081 + r\u2082(1\u2212r\u2082)/u\u2082) "
    "with u the number of mistakes of either network: it covers the choice of test images, not "
    "that of the networks, of which there is one pair each. At least 30 mistakes in each pair are "
    "needed.";

Judgement judge_shared_mistakes(const std::optional<MistakeCounts>& finetune,
                                const std::optional<MistakeCounts>& other) {
  if (!finetune || !other) return judged_not_run();
  const std::int64_t fewest = std::min(finetune->either_wrong(), other->either_wrong());
  if (fewest < kFewestMistakes) {
    return {Verdict::kNotEnough,
            fmt::format("{} and {} mistakes; at least {} in each pair are needed",
                        finetune->either_wrong(), other->either_wrong(), kFewestMistakes)};
  }
  const double a = *finetune->common_ratio(), b = *other->common_ratio();
  const double error = std::sqrt(a * (1 - a) / static_cast<double>(finetune->either_wrong()) +
                                 b * (1 - b) / static_cast<double>(other->either_wrong()));
  const double difference = a - b;
  const std::string measured = fmt::format(
      "{} against {}: {} (95 % CI {})", format_performance(Metric::kAccuracy, a),
      format_performance(Metric::kAccuracy, b), format_difference(Metric::kAccuracy, difference),
      format_interval(Metric::kAccuracy, difference - 1.96 * error, difference + 1.96 * error));
  if (difference - 1.96 * error > 0) return {Verdict::kReproduced, measured};
  return {difference + 1.96 * error < 0 ? Verdict::kNotReproduced : Verdict::kNotEnough, measured};
}

const char* const kFeaturesRule =
    "Reproduced if the CKA of two P-T lies above that of P-T & RI-T and that of two RI-T by more "
    "than 0.01 in every stage; not reproduced if it lies below one of them by more than 0.01 in "
    "some stage; else not enough data. The verdict rests on CKA between images, the measure the "
    "paper names. The channel-aligned similarity shown beside it is nearer to the paper\u2019s "
    "near-zero values, but is lower for any two networks with different random starts, whatever "
    "they "
    "learned, so a verdict on it would say little. One pair of each kind is measured.";

Judgement judge_features(std::span<const ModuleValue> finetune, std::span<const ModuleValue> mixed,
                         std::span<const ModuleValue> randinit) {
  return judge_lead(finetune, finetune.size(), mixed, randinit);
}

const char* const kPretrainedFeaturesRule =
    "The rule of the claim before for P-T & P in place of two P-T, without the last stage, where "
    "the paper does not find it either (up to layer 3 of its four).";

Judgement judge_pretrained_features(std::span<const ModuleValue> pretrained,
                                    std::span<const ModuleValue> mixed,
                                    std::span<const ModuleValue> randinit) {
  return judge_lead(pretrained, pretrained.empty() ? 0 : pretrained.size() - 1, mixed, randinit);
}

const char* const kCloserRule =
    "Reproduced if the l2 distance over all parameters between two P-T is smaller than that "
    "between two RI-T. One pair of each kind is measured, so the verdict carries no interval; the "
    "ratio says how clear it is.";

Judgement judge_closer(std::optional<double> finetune, std::optional<double> randinit) {
  if (!finetune || !randinit) return judged_not_run();
  std::string measured = fmt::format("{:.2f} against {:.2f}", *finetune, *randinit);
  if (*randinit > 0) measured += fmt::format(" (ratio {:.2f})", *finetune / *randinit);
  return decide(*finetune < *randinit, measured);
}

std::optional<DepthTrend> depth_trend(std::span<const ModuleValue> values) {
  std::vector<double> depth, value;
  for (const ModuleValue& module : values) {
    if (module.module == "fc") continue;
    depth.push_back(static_cast<double>(depth.size()));
    value.push_back(module.value);
  }
  if (depth.size() < 4) return std::nullopt;
  const RankCorrelation correlation = rank_correlation(depth, value);
  return DepthTrend{depth.size(), correlation.coefficient, correlation.p_value};
}

const char* const kDeeperRule =
    "Spearman\u2019s rank correlation between the depth of a module and the l2 distance of two P-T "
    "in it, without fc, whose random starts lie apart. Reproduced if it is above 0 with p at most "
    "0.05 (one-sided; all orders counted for up to 8 modules); not reproduced if it is 0 or below; "
    "else not enough data. At least 4 modules are needed. The distance is not normalised, as in "
    "the paper, so it also grows with the size of a module; the correlation of the relative "
    "distance stands beside it.";

Judgement judge_deeper(std::span<const ModuleValue> distance,
                       std::span<const ModuleValue> relative) {
  if (distance.empty()) return judged_not_run();
  const std::optional<DepthTrend> trend = depth_trend(distance);
  if (!trend) return {Verdict::kNotEnough, "fewer than 4 modules besides fc"};
  std::string measured = fmt::format("rank correlation {:.2f} (p = {:.3f}, {} modules)",
                                     trend->coefficient, trend->p_value, trend->modules);
  if (const std::optional<DepthTrend> other = depth_trend(relative)) {
    measured += fmt::format("; relative distance {:.2f}", other->coefficient);
  }
  if (trend->coefficient <= 0) return {Verdict::kNotReproduced, measured};
  return {trend->p_value <= kSignificance ? Verdict::kReproduced : Verdict::kNotEnough, measured};
}

}  // namespace basin::report
