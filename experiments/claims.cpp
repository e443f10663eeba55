// The rules of the claims, in words and in code.
#include "experiments/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "experiments/statistics.h"
#include "kernels/check.h"

namespace basin {
namespace {

constexpr double kSmallestBand = 0.01;
// A test set whose sampling error is larger than this cannot show that there is no barrier.
constexpr double kLargestBand = 0.05;

Judgement not_run() {
  return {Verdict::kNotRun, "no measurement"};
}

Judgement decide(bool holds, std::string measured) {
  return {holds ? Verdict::kReproduced : Verdict::kNotReproduced, std::move(measured)};
}

std::string describe(Metric metric, const BarrierMeasurement& measurement) {
  return fmt::format(
      "barrier {} between ends of {} and {}; band {}", format_size(metric, measurement.height),
      format_performance(metric, measurement.first), format_performance(metric, measurement.second),
      format_size(metric, barrier_band(metric, measurement)));
}

std::optional<double> performance_of(std::span<const ModuleScore> scores, std::string_view module) {
  const auto found = std::find_if(scores.begin(), scores.end(),
                                  [&](const ModuleScore& s) { return s.module == module; });
  if (found == scores.end()) return std::nullopt;
  return found->performance;
}

// "conv1" or "layerN.0".
bool is_stem_or_first_block(std::string_view module) {
  if (module == "conv1") return true;
  constexpr std::string_view kLayer = "layer";
  if (!module.starts_with(kLayer) || !module.ends_with(".0")) return false;
  const std::string_view stage = module.substr(kLayer.size(), module.size() - kLayer.size() - 2);
  return !stage.empty() &&
         std::all_of(stage.begin(), stage.end(), [](char c) { return c >= '0' && c <= '9'; });
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

const char* const kTransferHelpsRule =
    "Reproduced if the lower end of the 95 % confidence interval of the mean difference (P-T minus "
    "RI-T, runs paired by number, Student\u2019s t) lies above 0. At least two pairs of runs are "
    "needed.";

Judgement judge_transfer_helps(Metric metric, std::span<const double> finetune,
                               std::span<const double> randinit) {
  if (finetune.empty()) return not_run();
  if (finetune.size() < 2) {
    return {Verdict::kNotEnough,
            fmt::format("{} from one pair of runs (n = 1): no interval, at least 2 are needed",
                        format_difference(metric, mean(finetune) - mean(randinit)))};
  }
  const MeanInterval difference = paired_difference(finetune, randinit).difference;
  return decide(
      difference.lower > 0,
      fmt::format("{} (95 % CI {}, n = {})", format_difference(metric, difference.mean),
                  format_interval(metric, difference.lower, difference.upper), difference.n));
}

double barrier_height(std::span<const double> lambda, std::span<const double> values,
                      bool larger_is_better) {
  BASIN_CHECK(lambda.size() == values.size() && lambda.size() >= 3, "barrier: ", lambda.size(),
              " points and ", values.size(),
              " values; at least 3 points with one value each are needed");
  BASIN_CHECK(
      lambda.front() == 0 && lambda.back() == 1 && std::is_sorted(lambda.begin(), lambda.end()),
      "barrier: the points run from ", lambda.front(), " to ", lambda.back(),
      "; they must ascend from 0 to 1");
  double height = 0;
  for (std::size_t i = 0; i < lambda.size(); ++i) {
    if (!std::isfinite(values[i])) return std::numeric_limits<double>::infinity();
    const double chord = (1 - lambda[i]) * values.front() + lambda[i] * values.back();
    height = std::max(height, larger_is_better ? chord - values[i] : values[i] - chord);
  }
  return height;
}

double barrier_band(Metric metric, const BarrierMeasurement& measurement) {
  if (metric == Metric::kAuc || !measurement.test_size) return kSmallestBand;
  // The accuracy of a network on N images has the variance p (1 - p) / N. The difference of two
  // such accuracies has at most twice that, for both are taken on the same images and so rise and
  // fall together. 1.96 standard errors make a 95 % band.
  const double p = (measurement.first + measurement.second) / 2;
  const double variance = 2 * p * (1 - p) / static_cast<double>(*measurement.test_size);
  return std::max(kSmallestBand, 1.96 * std::sqrt(variance));
}

const char* const kNoBarrierRule =
    "Reproduced if the barrier, the largest fall of the curve below the straight line between its "
    "ends, is within the band: 1 point (0.01), or the sampling error of the test set where that is "
    "larger, 1.96 \u221a(2p(1\u2212p)/N) with p the mean accuracy of the ends and N the number of "
    "test images. A smaller fall cannot be told from chance on that many images. A band of more "
    "than 5 points shows nothing: not enough data.";

Judgement judge_no_barrier(Metric metric, const std::optional<BarrierMeasurement>& measurement) {
  if (!measurement) return not_run();
  const double band = barrier_band(metric, *measurement);
  const std::string measured = describe(metric, *measurement);
  if (measurement->height <= band && band > kLargestBand) {
    return {Verdict::kNotEnough, measured + " is too wide: the test set is too small"};
  }
  return decide(measurement->height <= band, measured);
}

const char* const kBarrierRule =
    "Reproduced if the barrier is larger than the band of the claim before (1 point, or the "
    "sampling error of the test set where that is larger).";

Judgement judge_barrier(Metric metric, const std::optional<BarrierMeasurement>& measurement) {
  if (!measurement) return not_run();
  return decide(measurement->height > barrier_band(metric, *measurement),
                describe(metric, *measurement));
}

const char* const kCloserRule =
    "Reproduced if the l2 distance over all parameters between two P-T is smaller than that "
    "between two RI-T. One pair of each kind is measured, so the verdict carries no interval; the "
    "ratio says how clear it is.";

Judgement judge_closer(std::optional<double> finetune, std::optional<double> randinit) {
  if (!finetune || !randinit) return not_run();
  std::string measured = fmt::format("{:.2f} against {:.2f}", *finetune, *randinit);
  if (*randinit > 0) measured += fmt::format(" (ratio {:.2f})", *finetune / *randinit);
  return decide(*finetune < *randinit, measured);
}

std::optional<double> critical_drop(std::span<const ModuleScore> scores) {
  const std::optional<double> intact = performance_of(scores, "none");
  if (!intact) return std::nullopt;
  std::vector<double> drops;
  for (const ModuleScore& score : scores) {
    if (is_stem_or_first_block(score.module)) drops.push_back(*intact - score.performance);
  }
  if (drops.empty()) return std::nullopt;
  return mean(drops);
}

const char* const kRewindingRule =
    "Reproduced if the mean drop over the stem (conv1) and the first block of each stage, each "
    "rewound to its start value by itself, is larger in RI-T than in P-T by more than 1 point "
    "(0.01). These are the modules the paper finds critical in RI-T. One network of each kind is "
    "measured.";

Judgement judge_rewinding(Metric metric, std::span<const ModuleScore> finetune,
                          std::span<const ModuleScore> randinit) {
  const std::optional<double> finetune_drop = critical_drop(finetune);
  const std::optional<double> randinit_drop = critical_drop(randinit);
  if (!finetune_drop || !randinit_drop) return not_run();
  return decide(
      *randinit_drop - *finetune_drop > kSmallestBand,
      fmt::format("mean change {} in RI-T, {} in P-T", format_difference(metric, -*randinit_drop),
                  format_difference(metric, -*finetune_drop)));
}

const char* const kClassifierRule =
    "Reproduced if no other module of P-T costs as much when rewound as the classifier (fc), which "
    "alone starts from random values. The paper calls this natural.";

Judgement judge_classifier(Metric metric, std::span<const ModuleScore> finetune) {
  const std::optional<double> intact = performance_of(finetune, "none");
  const std::optional<double> classifier = performance_of(finetune, "fc");
  if (!intact || !classifier) return not_run();
  const ModuleScore* worst = nullptr;
  for (const ModuleScore& score : finetune) {
    if (score.module == "none" || score.module == "fc") continue;
    if (worst == nullptr || score.performance < worst->performance) worst = &score;
  }
  if (worst == nullptr) return not_run();
  return decide(*classifier < worst->performance,
                fmt::format("fc {}; the worst other module, {}, {}",
                            format_difference(metric, *classifier - *intact), worst->module,
                            format_difference(metric, worst->performance - *intact)));
}

}  // namespace basin
