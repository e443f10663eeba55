// Figures and verdicts in words.
#include "experiments/report/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/check.h"

namespace basin::report {

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

}  // namespace basin::report
