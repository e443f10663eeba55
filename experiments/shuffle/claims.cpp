// The claims on shuffled images: words, rules and the paper's figures.
#include "experiments/shuffle/claims.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "experiments/report/measures.h"

namespace basin::report {
namespace {

constexpr std::size_t kFewestBlocks = 3, kFewestSeeds = 2;
constexpr double kDropSlopeMargin = 0.01;  // of the relative drop, per step
constexpr double kFlat = 0.25;             // of the speed

constexpr PaperShuffle kRealShuffle[] = {
    {"*", 16, 9.3, 7.8, 81.7, 47.3},    {"1", 9, 13.7, 12.5, 82.8, 46.5},
    {"2", 3, 19, 18.4, 85.6, 68.3},     {"4", 12, 26.9, 23.7, 88.4, 77.2},
    {"7", 31, 33.1, 23, 90.1, 79.5},    {"8", 34, 41.8, 28, 91.2, 79.5},
    {"14", 45, 52.4, 28.8, 92.9, 82.5}, {"16", 45, 57, 31.2, 93.5, 80},
    {"28", 52, 63.3, 30.2, 94.3, 83.7}, {"32", 45, 65.9, 36.3, 94.3, 80.6},
    {"56", 52, 70, 33.4, 94.6, 84.8},   {"112", 45, 74.8, 41.4, 94.6, 85.6},
    {"224", 42, 77, 44.9, 95.1, 85.9},
};
constexpr PaperShuffle kClipartShuffle[] = {
    {"*", 33, 10.7, 7.1, 80.3, 15.4},    {"1", 22, 14.1, 11, 80.6, 27.7},
    {"2", 23, 17.7, 13.6, 83.9, 45.9},   {"4", 22, 23.5, 18.4, 87.3, 72.8},
    {"7", 29, 28.1, 20.2, 89, 76.1},     {"8", 33, 32.7, 21.7, 89.8, 75.6},
    {"14", 38, 41.3, 25.7, 91.8, 79.2},  {"16", 41, 45.7, 27.1, 92.1, 76.4},
    {"28", 46, 52.9, 28.3, 92.9, 80.3},  {"32", 45, 56.5, 31, 93.5, 76.7},
    {"56", 49, 62.8, 31.9, 93.7, 81.7},  {"112", 43, 70.2, 39.8, 94.3, 82.8},
    {"224", 40, 73.6, 44.5, 94.3, 83.7},
};
constexpr PaperShuffle kQuickdrawShuffle[] = {
    {"*", 91, 10.7, 1, 83.1, 0.9},       {"1", 69, 9.7, 3, 78.3, 2.3},
    {"2", 30, 17, 11.9, 75.6, 70},       {"4", 23, 25.2, 19.2, 87.9, 81.1},
    {"7", 20, 26.9, 21.6, 89, 84.5},     {"8", 23, 30.7, 23.5, 87.9, 77.8},
    {"14", 24, 34.3, 26.1, 91.5, 86.2},  {"16", 20, 38, 30.4, 92.1, 86.5},
    {"28", 25, 41.8, 31.7, 92.3, 86.7},  {"32", 18, 45.2, 37, 92.9, 86.2},
    {"56", 26, 51, 37.7, 93.2, 87.3},    {"112", 24, 60.1, 45.9, 93.5, 87.6},
    {"224", 22, 64.7, 50.7, 93.7, 87.9},
};

// "12 %"
std::string per_cent(double ratio) {
  return fmt::format("{:.0f} %", 100 * ratio);
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
  if (seeds < kFewestSeeds || series.settings.size() < kFewestBlocks) {
    return Judgement{Verdict::kNotEnough,
                     fmt::format("{} block sizes complete, n = {}; {} block sizes and {} seeds are "
                                 "needed",
                                 series.settings.size(), seeds, kFewestBlocks, kFewestSeeds)};
  }
  return std::nullopt;
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
                     format_mean(Metric::kAccuracy, interval));
}

// Where a P-T is right on no image at all its relative drop does not exist.
Judgement no_drop() {
  return {Verdict::kNotEnough, "a P-T without a single correct image has no relative drop"};
}

}  // namespace

std::span<const PaperShuffle> paper_shuffle(std::string_view target) {
  if (is_paper_target(target, "real")) return kRealShuffle;
  if (is_paper_target(target, "clipart")) return kClipartShuffle;
  if (is_paper_target(target, "quickdraw")) return kQuickdrawShuffle;
  return {};
}

double relative_drop(double finetune, double randinit) {
  return (finetune - randinit) / finetune;
}

Judgement judge_shuffle_falls(Metric metric, const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune.size())) return *verdict;
  const MeanInterval finetune = mean_interval(slopes(series.finetune));
  const MeanInterval randinit = mean_interval(slopes(series.randinit));
  return decide(finetune.lower > 0 && randinit.lower > 0,
                fmt::format("per step P-T {}, RI-T {}, n = {}", format_estimate(metric, finetune),
                            format_estimate(metric, randinit), finetune.n));
}

Judgement judge_drop_shrinks(const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune.size())) return *verdict;
  const MeanInterval interval = mean_interval(slopes(relative_drops(series)));
  if (!std::isfinite(interval.mean)) return no_drop();
  return decide(interval.lower > 0, drop_text(series, interval));
}

Judgement judge_drop_stays(const ShuffleSeries& series) {
  if (const auto verdict = too_little(series, series.finetune.size())) return *verdict;
  const MeanInterval interval = mean_interval(slopes(relative_drops(series)));
  if (!std::isfinite(interval.mean)) return no_drop();
  const std::string measured = drop_text(series, interval);
  if (interval.lower > 0) return {Verdict::kNotReproduced, measured};
  return {interval.upper < kDropSlopeMargin ? Verdict::kReproduced : Verdict::kNotEnough, measured};
}

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
                            per_cent(mean(randinit)), format_mean(Metric::kAccuracy, difference)));
}

std::vector<Claim> shuffle_claims(const Results& results,
                                  const std::map<std::string, ShuffleSeries>& series) {
  std::vector<Claim> claims;
  const auto claim = [&](const char* statement, const std::string& rule,
                         const std::vector<std::string_view>& targets, auto judge, auto paper) {
    const auto includes = [&](const Target& target) {
      if (!targets.empty()) {
        const PaperTarget* name = paper_target(target.name);
        if (!name || std::find(targets.begin(), targets.end(), name->name) == targets.end()) {
          return false;
        }
      }
      return series.contains(target.name) || !paper_shuffle(target.name).empty();
    };
    claims.push_back(target_claim(
        results, statement, rule,
        [&](const Target& target) {
          const auto found = series.find(target.name);
          return judge(target, found == series.end() ? ShuffleSeries() : found->second);
        },
        [&](const Target& target) {
          const std::span<const PaperShuffle> rows = paper_shuffle(target.name);
          return rows.empty() ? std::string() : paper(rows[1], rows.back());
        },
        {includes, "no measurement", "see Figure 3 of the paper"}));
  };
  const auto without_target = [](Judgement (*judge)(const ShuffleSeries&)) {
    return [judge](const Target&, const ShuffleSeries& s) { return judge(s); };
  };
  const auto drops = [](const PaperShuffle& smallest, const PaperShuffle& unshuffled) {
    return fmt::format("drop {:.0f} % at block 1, {:.0f} % unshuffled", smallest.drop,
                       unshuffled.drop);
  };
  const std::string needed =
      fmt::format("At least {} block sizes and {} seeds are needed.", kFewestBlocks, kFewestSeeds);
  claim(
      "Performance falls as the blocks get smaller",
      "For each seed the slope of the final test performance over the block sizes (a step is the "
      "next larger block; unshuffled is the last; pixel shuffling is left out). Reproduced if the "
      "lower end of the 95 % confidence interval of the mean slope lies above 0 for P-T and for "
      "RI-T. " +
          needed,
      {},
      [&](const Target& target, const ShuffleSeries& s) {
        Metric metric = Metric::kAccuracy;
        for (const PlannedRun& run : results.runs) {
          if (run.target == target.name && run.run.usable()) metric = *run.run.metric;
        }
        return judge_shuffle_falls(metric, s);
      },
      [](const PaperShuffle& smallest, const PaperShuffle& unshuffled) {
        return fmt::format("{:.1f} / {:.1f} % at block 1, {:.1f} / {:.1f} % unshuffled",
                           smallest.finetune, smallest.randinit, unshuffled.finetune,
                           unshuffled.randinit);
      });
  claim("The relative benefit of transfer shrinks with the blocks (real, clipart)",
        "Relative drop: (P-T minus RI-T) / P-T, of runs with equal seed. For each seed its slope "
        "over the block sizes, a step being the next larger block. Reproduced if the lower end of "
        "the 95 % confidence interval of the mean slope lies above 0, so that the drop shrinks as "
        "blocks do. " +
            needed,
        {"real", "clipart"}, without_target(judge_drop_shrinks), drops);
  claim("The relative benefit of transfer does not shrink with the blocks (quickdraw)",
        fmt::format("The slope of the claim before. Reproduced if the upper end of its 95 % "
                    "confidence interval lies below {} per step, so that shrinking by more is "
                    "excluded; not reproduced if the lower end lies above 0, so that the drop does "
                    "shrink; else not enough data.",
                    format_points(kDropSlopeMargin)),
        {"quickdraw"}, without_target(judge_drop_stays), drops);
  claim("P-T\u2019s speed hardly depends on the block size, RI-T\u2019s does",
        fmt::format("Speed is the mean training performance over the epochs; its loss is the share "
                    "of the speed on unshuffled images that is gone at the smallest block. "
                    "Reproduced if, over seeds, the upper end of the 95 % confidence interval of "
                    "P-T\u2019s loss lies below {} (in the paper it is 13 to 16 %) and the lower "
                    "end of that of (RI-T\u2019s loss minus P-T\u2019s) above 0. {}",
                    per_cent(kFlat), needed),
        {}, without_target(judge_shuffle_speed),
        [](const PaperShuffle& smallest, const PaperShuffle& unshuffled) {
          return fmt::format("lost at block 1: P-T {:.0f} %, RI-T {:.0f} %",
                             100 * (1 - smallest.finetune_speed / unshuffled.finetune_speed),
                             100 * (1 - smallest.randinit_speed / unshuffled.randinit_speed));
        });
  return claims;
}

}  // namespace basin::report
