// Block and pixel shuffling: feature reuse or low-level statistics? Paper, section 3.1, Figure 3.
#include <fmt/format.h>

#include <charconv>

#include "experiments/program/session.h"
#include "experiments/report/measures.h"
#include "experiments/shuffle/claims.h"

namespace basin::report {
namespace {

// The side of the blocks of "block4"; nothing for "none" and "pixels".
std::optional<int> block_size(const std::string& shuffle) {
  constexpr std::string_view kBlock = "block";
  if (!shuffle.starts_with(kBlock)) return std::nullopt;
  int size = 0;
  const char* end = shuffle.data() + shuffle.size();
  const auto parsed = std::from_chars(shuffle.data() + kBlock.size(), end, size);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return size;
}

std::string setting_name(const std::string& shuffle) {
  if (shuffle == "none") return "none";
  if (shuffle == "pixels") return "pixels";
  const std::optional<int> size = block_size(shuffle);
  return size ? std::to_string(*size) : shuffle;
}

struct Setting {
  std::string shuffle;
  RunGroup finetune, randinit;
};

// Where a setting is in the order: pixels, block sizes ascending, unshuffled.
int place_of(const std::string& shuffle) {
  if (shuffle == "pixels") return -1;
  if (shuffle == "none") return 1 << 20;
  return block_size(shuffle).value_or(1 << 19);
}

// The runs with one start on one target, shuffled one way: those of the rate with the better mean
// final performance, as the paper draws them.
RunGroup of_best_rate(const std::vector<const PlannedRun*>& runs) {
  RunGroup group;
  const std::optional<double> rate = best_rate(runs);
  for (const PlannedRun* run : runs) {
    if (has_rate(*run, rate)) group.add(*run);
  }
  return group;
}

std::vector<Setting> settings_of(const Results& results, const std::string& target) {
  using Runs = std::vector<const PlannedRun*>;
  std::map<std::pair<int, std::string>, std::pair<Runs, Runs>> groups;
  for (const PlannedRun& run : results.runs) {
    if (run.target != target || !run.experiments.contains("shuffle")) continue;
    auto& group = groups[{place_of(run.shuffle), run.shuffle}];
    (run.finetune ? group.first : group.second).push_back(&run);
  }
  std::vector<Setting> settings;
  for (const auto& [key, group] : groups) {
    settings.push_back({key.second, of_best_rate(group.first), of_best_rate(group.second)});
  }
  return settings;
}

// What the claims look at: only seeds with all settings, pixel shuffling left out. The seed of the
// shuffling goes with that of the run, so unshuffled runs, which have none, find their partners by
// the latter.
ShuffleSeries series_of(const std::vector<Setting>& settings) {
  ShuffleSeries series;
  std::vector<const Setting*> used;
  for (const Setting& setting : settings) {
    if (setting.shuffle == "pixels") continue;
    if (setting.finetune.runs.empty() || setting.randinit.runs.empty()) continue;
    used.push_back(&setting);
    const std::optional<int> size = block_size(setting.shuffle);
    series.settings.push_back(size ? fmt::format("block {}", *size) : "unshuffled");
  }
  const auto fill = [&](const Measure& measure, std::vector<std::vector<double>>& finetune,
                        std::vector<std::vector<double>>& randinit) {
    std::vector<std::map<std::int64_t, double>> columns;
    for (const Setting* setting : used) columns.push_back(setting->finetune.by_seed(measure));
    for (const Setting* setting : used) columns.push_back(setting->randinit.by_seed(measure));
    for (const std::vector<double>& seed : complete_seeds(columns)) {
      const auto middle = seed.begin() + static_cast<std::ptrdiff_t>(used.size());
      finetune.emplace_back(seed.begin(), middle);
      randinit.emplace_back(middle, seed.end());
    }
  };
  fill(final_performance, series.finetune, series.randinit);
  fill(training_speed, series.finetune_speed, series.randinit_speed);
  return series;
}

// The relative drops of the seeds that both starts have.
std::vector<double> drops_of(const Setting& setting) {
  std::vector<double> drops;
  for (const std::vector<double>& seed :
       complete_seeds({setting.finetune.by_seed(final_performance),
                       setting.randinit.by_seed(final_performance)})) {
    if (seed[0] > 0) drops.push_back(relative_drop(seed[0], seed[1]));
  }
  return drops;
}

void add_target(Results& results, Section& section, const Target& target,
                const std::vector<Setting>& settings) {
  Metric metric = Metric::kAccuracy;
  Curve finetune, randinit, finetune_speed, randinit_speed, drop;
  std::vector<std::string> names;
  Table table{
      target.name +
          ": final test performance, its relative drop from P-T to RI-T, and mean training "
          "performance (speed); mean over seeds with its 95 % confidence interval, of the better "
          "learning rate.",
      {"Block size", "P-T", "RI-T", "Relative drop", "Speed P-T", "Speed RI-T"}};
  for (const Setting& setting : settings) {
    for (const RunGroup* group : {&setting.finetune, &setting.randinit}) {
      for (const auto& [seed, run] : group->runs) metric = *run->metric;
    }
    const double place = static_cast<double>(names.size());
    names.push_back(setting_name(setting.shuffle));
    TableRow& row = table.rows.emplace_back(TableRow{names.back()});
    const auto add = [&](Curve& curve, Metric unit, const std::vector<double>& values,
                         std::size_t planned) {
      curve.add(place, values);
      row.push_back(interval_cell(unit, values, planned));
    };
    const std::size_t first = setting.finetune.planned, second = setting.randinit.planned;
    add(finetune, metric, setting.finetune.values(final_performance), first);
    add(randinit, metric, setting.randinit.values(final_performance), second);
    add(drop, Metric::kAccuracy, drops_of(setting), std::max(first, second));
    add(finetune_speed, metric, setting.finetune.values(training_speed), first);
    add(randinit_speed, metric, setting.randinit.values(training_speed), second);
  }
  CsvTable csv({"shuffle", "measure", "kind", "mean", "lower", "upper", "n"});
  const auto write = [&](const char* measure, const char* kind, const Curve& curve) {
    for (std::size_t i = 0; i < settings.size(); ++i) {
      add_row(csv, {settings[i].shuffle, measure, kind}, curve.values[i]);
    }
  };
  write("test", kFinetune, finetune);
  write("test", kRandinit, randinit);
  write("speed", kFinetune, finetune_speed);
  write("speed", kRandinit, randinit_speed);
  write("relative_drop", "", drop);
  const Link link = write_figure_table(results.folder, "shuffle-" + target.name, csv);
  const auto figure = [&](Metric unit, const char* what, const std::string& y_label,
                          std::vector<LineSeries> series, const char* caption) {
    LineChart chart =
        performance_chart(unit, fmt::format("{} by block size on {}", what, target.name),
                          "Block size", target.name + ": " + y_label);
    if (series.size() == 1) chart.y_floor.reset();  // a drop may be negative
    chart.x_categories = names;
    chart.spread = Spread::kErrorBars;
    chart.series = std::move(series);
    return Figure{line_chart(chart), target.name + ": " + caption, {link}};
  };
  section.table(table);
  section.figures(
      {figure(metric, "Final test performance", axis_label("Test", metric),
              {curve_series("P-T", kFinetuneStyle, metric, finetune),
               curve_series("RI-T", kRandinitStyle, metric, randinit)},
              "final test performance by block size. Bars: 95 % confidence interval."),
       figure(Metric::kAccuracy, "Relative drop", "Relative drop (%)",
              {curve_series("(P-T \u2212 RI-T) / P-T", kMixedStyle, Metric::kAccuracy, drop)},
              "how much of the performance is lost without transfer."),
       figure(metric, "Training speed", axis_label("Mean training", metric),
              {curve_series("P-T", kFinetuneStyle, metric, finetune_speed),
               curve_series("RI-T", kRandinitStyle, metric, randinit_speed)},
              "mean training performance over the epochs (speed).")});
}

void add_paper_shuffle(const Results& results, Section& section) {
  paper_table(
      results, section,
      {"The paper\u2019s Figure 3, images of side 224: test accuracy P-T / RI-T, relative drop, "
       "and "
       "mean training accuracy P-T / RI-T, in %. *: pixels and channels shuffled; 224: unshuffled. "
       "Drops are printed in the figure, the rest is read off it.",
       {"Block size"}},
      paper_shuffle, [](const PaperShuffle& p) { return p.block; },
      [](const PaperShuffle& p) {
        return TableCell(
            fmt::format("{:.1f} / {:.1f}; drop {:.0f}", p.finetune, p.randinit, p.drop),
            fmt::format("speed {:.1f} / {:.1f}", p.finetune_speed, p.randinit_speed));
      });
}

// The drops of the paper's Figure 3, to be looked at beside ours.
void add_paper_figure(const Results& results, Section& section) {
  LineChart chart;
  chart.description = "Relative drop by block size in the paper";
  chart.x_label = "Block size, images of side 224";
  chart.y_label = "Paper: Relative drop (%)";
  chart.decimals = 0;
  chart.y_floor = 0;
  int style = 0;
  for (const Target& target : results.targets) {
    LineSeries series{"", style++};
    for (const PaperShuffle& row : paper_shuffle(target.name)) {
      if (chart.series.empty()) chart.x_categories.push_back(row.block);
      series.x.push_back(static_cast<double>(series.x.size()));
      series.y.push_back(row.drop);
    }
    if (!series.x.empty()) series.name = paper_target(target.name)->name;
    add_series(chart, std::move(series));
  }
  if (chart.series.empty()) return;
  section.figures({{line_chart(chart),
                    "The paper\u2019s relative drops (Figure 3). *: pixels and channels shuffled; "
                    "224: unshuffled.",
                    {}}});
}

}  // namespace

void write_shuffle(Results& results, Section& section) {
  section.lead("Question",
               "Is it reused features that help, which shuffling the blocks of an image destroys, "
               "or low-level statistics, which it keeps?");
  section.lead("Paper",
               "Performance falls as blocks shrink. On real and clipart the benefit of transfer "
               "shrinks with them, on quickdraw it does not. P-T stays fast throughout, while "
               "RI-T slows down, so the gain in speed does not need feature reuse.");
  std::map<std::string, std::vector<Setting>> settings;
  std::map<std::string, ShuffleSeries> series;
  std::size_t done = 0, planned = 0;
  double seconds = 0;
  for (const Target& target : results.targets) {
    std::vector<Setting> found = settings_of(results, target.name);
    if (found.empty()) continue;
    series[target.name] = series_of(found);
    settings[target.name] = std::move(found);
  }
  for (const PlannedRun& run : results.runs) {
    if (!run.experiments.contains("shuffle")) continue;
    ++planned;
    done += run.run.usable();
    seconds += run.run.seconds.value_or(0);
  }
  if (planned > 0) {
    section.lead("Run here",
                 fmt::format("{}, no augmentation; one fixed permutation per seed for training and "
                             "test images, of blocks or (pixels) of all pixels and channels; {} of "
                             "{} runs done, {} of training.",
                             results.source_model, done, planned, duration_text(seconds)));
  } else {
    section.not_run("Training on shuffled images.");
  }

  for (const Claim& claim : shuffle_claims(results, series)) section.claim(claim);
  for (const Target& target : results.targets) {
    if (settings.contains(target.name)) {
      add_target(results, section, target, settings[target.name]);
    } else if (planned > 0 && !paper_shuffle(target.name).empty()) {
      section.not_run("Shuffling on " + target.name + ".");
    }
  }
  add_paper_figure(results, section);
  add_paper_shuffle(results, section);
}

}  // namespace basin::report
