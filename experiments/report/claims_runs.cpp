// The rules of claims_runs.h, in words and in code.
#include "experiments/report/claims_runs.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "experiments/report/statistics.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

// "12.3 %" and "+1.2 to +3.4 points" of plain ratios.
std::string per_cent(double ratio) {
  return fmt::format("{:.0f} %", 100 * ratio);
}

std::string slope_text(const MeanInterval& interval) {
  return fmt::format("{} (95 % CI {}, n = {})", format_difference(Metric::kAccuracy, interval.mean),
                     format_interval(Metric::kAccuracy, interval.lower, interval.upper),
                     interval.n);
}

// Per seed the slope over the settings, smallest block first.
std::vector<double> slopes(const std::vector<std::vector<double>>& values) {
  std::vector<double> all;
  for (const std::vector<double>& seed : values) all.push_back(slope(seed));
  return all;
}

std::vector<std::vector<double>> relative_drops(const ShuffleSeries& series) {
  std::vector<std::vector<double>> drops;
  for (std::size_t s = 0; s < series.finetune.size(); ++s) {
    std::vector<double>& seed = drops.emplace_back();
    for (std::size_t i = 0; i < series.settings.size(); ++i) {
      seed.push_back(relative_drop(series.finetune[s][i], series.randinit[s][i]));
    }
  }
  return drops;
}

// What keeps a series from any verdict: nothing measured, or too little.
std::optional<Judgement> too_little(const ShuffleSeries& series, std::size_t seeds) {
  if (seeds == 0) return judged_not_run();
  if (seeds < 2 || series.settings.size() < 3) {
    return Judgement{Verdict::kNotEnough,
                     fmt::format("{} block sizes complete, n = {}; 3 block sizes and 2 seeds are "
                                 "needed",
                                 series.settings.size(), seeds)};
  }
  return std::nullopt;
}

// The slope of the relative drop per step to the next larger block.
MeanInterval drop_slope(const ShuffleSeries& series) {
  return mean_interval(slopes(relative_drops(series)));
}

std::string drop_text(const ShuffleSeries& series, const MeanInterval& interval) {
  double smallest = 0, largest = 0;
  const std::vector<std::vector<double>> drops = relative_drops(series);
  for (const std::vector<double>& seed : drops) {
    smallest += seed.front() / static_cast<double>(drops.size());
    largest += seed.back() / static_cast<double>(drops.size());
  }
  return fmt::format("relative drop {} at {}, {} at {}; per step {}", per_cent(smallest),
                     series.settings.front(), per_cent(largest), series.settings.back(),
                     slope_text(interval));
}

// Where a P-T is right on no image at all its relative drop does not exist.
Judgement no_drop() {
  return {Verdict::kNotEnough, "a P-T without a single correct image has no relative drop"};
}

constexpr double kDropMargin = 0.01;     // of the relative drop, per step
constexpr double kFlat = 0.25;           // of the speed
constexpr double kPlateauMargin = 0.01;  // of the performance

}  // namespace

const char* const kTransferHelpsRule =
    "Reproduced if the lower end of the 95 % confidence interval of the mean difference (P-T minus "
    "RI-T, runs paired by number, Student\u2019s t) lies above 0. At least two pairs of runs are "
    "needed.";

Judgement judge_transfer_helps(Metric metric, std::span<const double> finetune,
                               std::span<const double> randinit) {
  if (finetune.empty()) return judged_not_run();
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

const char* const kLargerGainRule =
    "The gain of a run is its final test performance P-T minus RI-T. Reproduced if the lower end "
    "of the 95 % confidence interval of (mean gain on the nearer target minus mean gain on the "
    "farther one) lies above 0; not reproduced if the upper end lies below 0; else not enough data "
    "(Welch\u2019s t, for the runs of two targets are independent). Only targets of one metric can "
    "be compared. At least two pairs of runs on each are needed.";

Judgement judge_larger_gain(Metric metric, std::span<const double> near,
                            std::span<const double> far) {
  if (near.empty() || far.empty()) return judged_not_run();
  const std::string gains = fmt::format("gains {} and {}", format_difference(metric, mean(near)),
                                        format_difference(metric, mean(far)));
  if (near.size() < 2 || far.size() < 2) {
    return {Verdict::kNotEnough, gains + " (n = 1): no interval, at least 2 are needed"};
  }
  const MeanInterval difference = welch_difference(near, far);
  const std::string measured = fmt::format(
      "{}: difference {} (95 % CI {}, n = {} and {})", gains,
      format_difference(metric, difference.mean),
      format_interval(metric, difference.lower, difference.upper), near.size(), far.size());
  if (difference.lower > 0) return {Verdict::kReproduced, measured};
  return {difference.upper < 0 ? Verdict::kNotReproduced : Verdict::kNotEnough, measured};
}

double relative_drop(double finetune, double randinit) {
  return (finetune - randinit) / finetune;
}

const char* const kShuffleFallsRule =
    "For each seed the slope of the final test performance over the block sizes (a step is the "
    "next larger block; unshuffled is the last; pixel shuffling is left out). Reproduced if the "
    "lower end of the 95 % confidence interval of the mean slope lies above 0 for P-T and for "
    "RI-T. At least 3 block sizes and 2 seeds are needed.";

Judgement judge_shuffle_falls(Metric metric, const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune.size())) return *verdict;
  const MeanInterval finetune = mean_interval(slopes(series.finetune));
  const MeanInterval randinit = mean_interval(slopes(series.randinit));
  const auto text = [&](const MeanInterval& interval) {
    return fmt::format("{} (95 % CI {})", format_difference(metric, interval.mean),
                       format_interval(metric, interval.lower, interval.upper));
  };
  return decide(
      finetune.lower > 0 && randinit.lower > 0,
      fmt::format("per step P-T {}, RI-T {}, n = {}", text(finetune), text(randinit), finetune.n));
}

const char* const kDropShrinksRule =
    "Relative drop: (P-T minus RI-T) / P-T, of runs with equal seed. For each seed its slope over "
    "the block sizes, a step being the next larger block. Reproduced if the lower end of the 95 % "
    "confidence interval of the mean slope lies above 0, so that the drop shrinks as blocks do. At "
    "least 3 block sizes and 2 seeds are needed.";

Judgement judge_drop_shrinks(const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune.size())) return *verdict;
  const MeanInterval interval = drop_slope(series);
  if (!std::isfinite(interval.mean)) return no_drop();
  return decide(interval.lower > 0, drop_text(series, interval));
}

const char* const kDropStaysRule =
    "The slope of the claim before. Reproduced if the upper end of its 95 % confidence interval "
    "lies below 1 point per step, so that shrinking by more is excluded; not reproduced if the "
    "lower end lies above 0, so that the drop does shrink; else not enough data.";

Judgement judge_drop_stays(const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune.size())) return *verdict;
  const MeanInterval interval = drop_slope(series);
  if (!std::isfinite(interval.mean)) return no_drop();
  const std::string measured = drop_text(series, interval);
  if (interval.lower > 0) return {Verdict::kNotReproduced, measured};
  return {interval.upper < kDropMargin ? Verdict::kReproduced : Verdict::kNotEnough, measured};
}

const char* const kSpeedRule =
    "Speed is the mean training performance over the epochs; its loss is the share of the speed on "
    "unshuffled images that is gone at the smallest block. Reproduced if, over seeds, the upper "
    "end of the 95 % confidence interval of P-T\u2019s loss lies below 25 % (in the paper it is 13 "
    "to 16 %) and the lower end of that of (RI-T\u2019s loss minus P-T\u2019s) above 0. At least 3 "
    "block sizes and 2 seeds are needed.";

Judgement judge_shuffle_speed(const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune_speed.size())) return *verdict;
  const auto losses = [](const std::vector<std::vector<double>>& speeds) {
    std::vector<double> all;
    for (const std::vector<double>& seed : speeds) all.push_back(1 - seed.front() / seed.back());
    return all;
  };
  const std::vector<double> finetune = losses(series.finetune_speed);
  const std::vector<double> randinit = losses(series.randinit_speed);
  const MeanInterval flat = mean_interval(finetune);
  const MeanInterval difference = paired_difference(randinit, finetune).difference;
  return decide(flat.upper < kFlat && difference.lower > 0,
                fmt::format("lost at {}: P-T {} (95 % CI up to {}), RI-T {}; difference {}",
                            series.settings.front(), per_cent(flat.mean), per_cent(flat.upper),
                            per_cent(mean(randinit)), slope_text(difference)));
}

const char* const kEarlyGainRule =
    "Early is the last measured checkpoint within the first third of pre-training (the "
    "paper\u2019s "
    "plateau begins at 29 to 31 of 90 epochs). For each seed, half the gain of the last checkpoint "
    "over checkpoint 0 is taken off the early one\u2019s. Reproduced if the lower end of the 95 % "
    "confidence interval of the mean lies above 0: most of the gain is there early. At least 2 "
    "seeds, checkpoint 0, and a last checkpoint whose own gain is above 0 by the same test are "
    "needed.";

Judgement judge_early_gain(Metric metric, const CheckpointSeries& series) {
  if (series.performance.empty()) return judged_not_run();
  const double end = series.epochs.back();
  std::size_t early = 0;
  for (std::size_t i = 0; i < series.epochs.size(); ++i) {
    if (series.epochs[i] <= end / 3) early = i;
  }
  if (series.epochs.front() != 0 || early == 0 || series.performance.size() < 2) {
    return {Verdict::kNotEnough,
            "checkpoint 0, one in the first third of pre-training and 2 seeds are needed"};
  }
  std::vector<double> gain, early_gain, beyond_half;
  for (const std::vector<double>& seed : series.performance) {
    gain.push_back(seed.back() - seed.front());
    early_gain.push_back(seed[early] - seed.front());
    beyond_half.push_back(early_gain.back() - gain.back() / 2);
  }
  const MeanInterval whole = mean_interval(gain);
  const MeanInterval interval = mean_interval(beyond_half);
  std::string measured =
      fmt::format("{} at epoch {:g}, {} at {:g}", format_difference(metric, mean(early_gain)),
                  series.epochs[early], format_difference(metric, whole.mean), end);
  if (whole.lower <= 0) {
    return {Verdict::kNotEnough,
            measured + fmt::format("; the whole gain\u2019s 95 % CI ({}) includes 0",
                                   format_interval(metric, whole.lower, whole.upper))};
  }
  measured +=
      fmt::format("; beyond half {} (95 % CI {}, n = {})", format_difference(metric, interval.mean),
                  format_interval(metric, interval.lower, interval.upper), interval.n);
  return decide(interval.lower > 0, measured);
}

const char* const kPlateauRule =
    "Compared is the last measured checkpoint within the first two thirds of pre-training (the "
    "paper\u2019s 59 or 60 of 90 epochs) with the last one, runs paired by seed. Reproduced if the "
    "lower end of the 95 % confidence interval of the mean difference lies above \u22121 point "
    "(\u22120.01); not reproduced if the upper end lies below that; else not enough data. "
    "At least 2 seeds are needed.";

Judgement judge_plateau(Metric metric, const CheckpointSeries& series) {
  if (series.performance.empty()) return judged_not_run();
  const double end = series.epochs.back();
  std::optional<std::size_t> before;
  for (std::size_t i = 0; i < series.epochs.size(); ++i) {
    if (series.epochs[i] > 0 && series.epochs[i] <= end * 2 / 3) before = i;
  }
  if (!before || series.performance.size() < 2) {
    return {Verdict::kNotEnough,
            "a checkpoint in the first two thirds of pre-training and 2 seeds are needed"};
  }
  std::vector<double> earlier, last;
  for (const std::vector<double>& seed : series.performance) {
    earlier.push_back(seed[*before]);
    last.push_back(seed.back());
  }
  const MeanInterval difference = paired_difference(earlier, last).difference;
  const std::string measured =
      fmt::format("epoch {:g} minus epoch {:g}: {} (95 % CI {}, n = {})", series.epochs[*before],
                  end, format_difference(metric, difference.mean),
                  format_interval(metric, difference.lower, difference.upper), difference.n);
  if (difference.lower > -kPlateauMargin) return {Verdict::kReproduced, measured};
  return {difference.upper < -kPlateauMargin ? Verdict::kNotReproduced : Verdict::kNotEnough,
          measured};
}

}  // namespace basin::report
