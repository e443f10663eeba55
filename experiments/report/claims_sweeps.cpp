// The rules of claims_sweeps.h, in words and in code.
#include "experiments/report/claims_sweeps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "experiments/report/statistics.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr double kSmallestBand = 0.01;
// A test set whose sampling error is larger than this cannot show that there is no barrier.
constexpr double kLargestBand = 0.05;
constexpr double kEpsilonMargin = 0.005;
constexpr std::size_t kFewestModules = 5;  // five wins of five are the least with p below 0.05

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
  if (!measurement) return judged_not_run();
  const double band = barrier_band(metric, *measurement);
  const std::string measured = describe(metric, *measurement);
  if (measurement->height <= band && band > kLargestBand) {
    return {Verdict::kNotEnough, measured + " is too wide: the test set is too small"};
  }
  return decide(measurement->height <= band, measured);
}

const char* const kBarrierRule =
    "Reproduced if the barrier, the largest fall of the curve below the straight line between its "
    "ends, is larger than the band: 1 point (0.01), or the sampling error of the test set where "
    "that is larger, 1.96 \u221a(2p(1\u2212p)/N).";

Judgement judge_barrier(Metric metric, const std::optional<BarrierMeasurement>& measurement) {
  if (!measurement) return judged_not_run();
  return decide(measurement->height > barrier_band(metric, *measurement),
                describe(metric, *measurement));
}

const char* const kLowerBarrierRule =
    "Reproduced if the barrier between two RI-T from the same random weights is smaller than that "
    "between two from different ones by more than the larger of their bands; not reproduced if it "
    "is larger by more than that; else not enough data. One pair of each kind is measured.";

Judgement judge_lower_barrier(Metric metric, const std::optional<BarrierMeasurement>& same,
                              const std::optional<BarrierMeasurement>& different) {
  if (!same || !different) return judged_not_run();
  const double band = std::max(barrier_band(metric, *same), barrier_band(metric, *different));
  const std::string measured =
      fmt::format("barrier {} from the same weights, {} from different ones; band {}",
                  format_size(metric, same->height), format_size(metric, different->height),
                  format_size(metric, band));
  if (same->height < different->height - band) return {Verdict::kReproduced, measured};
  return {same->height > different->height + band ? Verdict::kNotReproduced : Verdict::kNotEnough,
          measured};
}

const char* const kBasinRule =
    "\u03b5 is the mean absolute deviation of the test error from its mean on the stretch of the "
    "line "
    "through both networks where the error stays within the band; \u03b4 the least noise, and the "
    "least step outwards, that raise the error at its ends by 2\u03b5 or more (conditions 2 and 3 "
    "of "
    "Definition 3.1). Reproduced if a \u03b4 on the grid does both. One pair is measured.";

Judgement judge_basin(const std::optional<BasinExtent>& finetune) {
  if (!finetune) return judged_not_run();
  if (finetune->delta) {
    return {Verdict::kReproduced,
            fmt::format("\u03b5 = {:.4f}, \u03b4 = {:.2f}", finetune->epsilon, *finetune->delta)};
  }
  std::string measured = fmt::format("\u03b5 = {:.4f}, no \u03b4 on the grid", finetune->epsilon);
  if (finetune->largest_delta) measured += fmt::format(" up to {:.2f}", *finetune->largest_delta);
  return {Verdict::kNotReproduced, measured};
}

const char* const kNoCommonBasinRule =
    "Reproduced if the \u03b5 of two RI-T, their mean absolute deviation (condition 1), is larger "
    "than the \u03b5 of two P-T by more than 0.005, the tolerance of the band: with the "
    "\u03b5 of the P-T, the RI-T then share no basin. One pair of each kind is measured.";

Judgement judge_no_common_basin(const std::optional<BasinExtent>& finetune,
                                const std::optional<BasinExtent>& randinit) {
  if (!finetune || !randinit) return judged_not_run();
  return decide(randinit->epsilon > finetune->epsilon + kEpsilonMargin,
                fmt::format("\u03b5 = {:.4f} for RI-T, {:.4f} for P-T", randinit->epsilon,
                            finetune->epsilon));
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
  if (!finetune_drop || !randinit_drop) return judged_not_run();
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
  if (!intact || !classifier) return judged_not_run();
  const ModuleScore* worst = nullptr;
  for (const ModuleScore& score : finetune) {
    if (score.module == "none" || score.module == "fc") continue;
    if (worst == nullptr || score.performance < worst->performance) worst = &score;
  }
  if (worst == nullptr) return judged_not_run();
  return decide(*classifier < worst->performance,
                fmt::format("fc {}; the worst other module, {}, {}",
                            format_difference(metric, *classifier - *intact), worst->module,
                            format_difference(metric, worst->performance - *intact)));
}

const char* const kCriticalityRule =
    "Compared module by module on the direct path. Reproduced if the criticality is larger in RI-T "
    "in so many modules that the sign test gives p at most 0.05 (one-sided: 5 of 5, 7 of 8, 13 of "
    "18); not reproduced if it is larger in at most half of them; else not enough data. Modules "
    "with equal values are left out; at least 5 must remain. An infinite criticality (no setting "
    "was admissible) is larger than any other. One network of each kind is measured.";

Judgement judge_criticality(std::span<const ModuleValue> finetune,
                            std::span<const ModuleValue> randinit) {
  if (finetune.empty() || randinit.empty()) return judged_not_run();
  std::size_t wins = 0, compared = 0;
  for (const ModuleValue& first : finetune) {
    for (const ModuleValue& second : randinit) {
      if (second.module != first.module || second.value == first.value) continue;
      ++compared;
      wins += second.value > first.value;
    }
  }
  const double p_value = sign_test(wins, compared);
  const std::string measured =
      fmt::format("larger in RI-T in {} of {} modules (p = {:.3f})", wins, compared, p_value);
  if (compared < kFewestModules) return {Verdict::kNotEnough, measured + "; 5 are needed"};
  if (p_value <= kSignificance) return {Verdict::kReproduced, measured};
  return {2 * wins <= compared ? Verdict::kNotReproduced : Verdict::kNotEnough, measured};
}

const char* const kCriticalityDepthRule =
    "Spearman\u2019s rank correlation between the depth of a module and its criticality in P-T on "
    "the direct path, without fc, which starts from random weights and so is critical in any case. "
    "Reproduced if it is above 0 with p at most 0.05 (one-sided; all orders counted for up to 8 "
    "modules); not reproduced if it is 0 or below; else not enough data. At least 4 modules are "
    "needed.";

Judgement judge_criticality_depth(std::span<const ModuleValue> finetune) {
  if (finetune.empty()) return judged_not_run();
  const std::optional<DepthTrend> trend = depth_trend(finetune);
  if (!trend) return {Verdict::kNotEnough, "fewer than 4 modules besides fc"};
  const std::string measured = fmt::format("rank correlation {:.2f} (p = {:.3f}, {} modules)",
                                           trend->coefficient, trend->p_value, trend->modules);
  if (trend->coefficient <= 0) return {Verdict::kNotReproduced, measured};
  return {trend->p_value <= kSignificance ? Verdict::kReproduced : Verdict::kNotEnough, measured};
}

}  // namespace basin::report
