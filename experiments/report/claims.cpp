// Figures and verdicts in words.
#include "experiments/report/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr std::size_t kFewestModules = 4;  // no order of 3 has a probability below kSignificance

struct DepthTrend {
  std::size_t modules = 0;
  std::optional<RankCorrelation> correlation;  // nothing where there are too few modules
};

DepthTrend depth_trend(std::span<const ModuleValue> values) {
  std::vector<double> depth, value;
  for (const ModuleValue& module : values) {
    if (module.module == "fc") continue;
    depth.push_back(static_cast<double>(depth.size()));
    value.push_back(module.value);
  }
  if (depth.size() < kFewestModules) return {};
  return {depth.size(), rank_correlation(depth, value)};
}

}  // namespace

std::string metric_name(Metric metric) {
  return metric == Metric::kAccuracy ? "accuracy" : "mean AUC";
}

std::string format_performance(Metric metric, double value) {
  return metric == Metric::kAccuracy ? fmt::format("{:.1f} %", 100 * value)
                                     : fmt::format("{:.3f}", value);
}

std::string format_size(Metric metric, double value) {
  return metric == Metric::kAccuracy ? fmt::format("{:.1f} points", 100 * value)
                                     : fmt::format("{:.3f}", value);
}

std::string format_difference(Metric metric, double value) {
  return (value < 0 ? "\u2212" : "+") + format_size(metric, std::abs(value));
}

std::string format_interval(Metric metric, double lower, double upper) {
  std::string first = format_difference(metric, lower);
  first.erase(std::min(first.find(' '), first.size()));  // the unit stands once, at the end
  return first + " to " + format_difference(metric, upper);
}

std::string format_estimate(Metric metric, const MeanInterval& interval) {
  return fmt::format("{} (95 % CI {})", format_difference(metric, interval.mean),
                     format_interval(metric, interval.lower, interval.upper));
}

std::string format_mean(Metric metric, const MeanInterval& interval) {
  std::string text = format_estimate(metric, interval);
  text.pop_back();
  return fmt::format("{}, n = {})", text, interval.n);
}

std::string format_points(double fraction) {
  return fmt::format("{:g} point{}", 100 * fraction, fraction == 0.01 ? "" : "s");
}

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kReproduced:
      return "reproduced";
    case Verdict::kNotReproduced:
      return "not reproduced";
    case Verdict::kNotEnough:
      return "not enough data";
    case Verdict::kNotRun:
      return "not run";
  }
  throw Error("verdict_text: not a verdict");
}

Judgement judged_not_run(std::string measured) {
  return {Verdict::kNotRun, std::move(measured)};
}

Judgement decide(bool holds, std::string measured) {
  return {holds ? Verdict::kReproduced : Verdict::kNotReproduced, std::move(measured)};
}

Judgement decide(double lower, double upper, double threshold, std::string measured) {
  if (lower > threshold) return {Verdict::kReproduced, std::move(measured)};
  return {upper < threshold ? Verdict::kNotReproduced : Verdict::kNotEnough, std::move(measured)};
}

std::optional<double> value_of(std::span<const ModuleValue> values, const std::string& module) {
  for (const ModuleValue& value : values) {
    if (value.module == module) return value.value;
  }
  return std::nullopt;
}

std::string depth_rule() {
  return fmt::format(
      "Reproduced if it is above 0 with p at most {} (one-sided; all orders counted for up to {} "
      "modules); not reproduced if it is 0 or below; else not enough data. At least {} modules are "
      "needed.",
      kSignificance, kMostEnumerated, kFewestModules);
}

Judgement judge_depth(std::span<const ModuleValue> values, const std::string& other_name,
                      std::span<const ModuleValue> other) {
  if (values.empty()) return judged_not_run();
  const auto [modules, trend] = depth_trend(values);
  if (!trend) {
    return {Verdict::kNotEnough, fmt::format("fewer than {} modules besides fc", kFewestModules)};
  }
  std::string measured = fmt::format("rank correlation {:.2f} (p = {:.3f}, {} modules)",
                                     trend->coefficient, trend->p_value, modules);
  if (const auto second = depth_trend(other).correlation) {
    measured += fmt::format("; {} {:.2f}", other_name, second->coefficient);
  }
  if (trend->coefficient <= 0) return {Verdict::kNotReproduced, measured};
  return {trend->p_value <= kSignificance ? Verdict::kReproduced : Verdict::kNotEnough, measured};
}

}  // namespace basin::report
