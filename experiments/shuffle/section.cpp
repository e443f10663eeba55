// Block and pixel shuffling: feature reuse or low-level statistics? Paper, section 3.1, Figure 3.
#include <fmt/format.h>

#include <charconv>

#include "experiments/report/claims_runs.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"

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

// The runs with one start on one target, shuffled one way: those of the rate with the better mean
// final performance, as the paper draws them.
struct Cell {
  std::size_t planned = 0;
  std::optional<double> rate;
  std::map<std::pair<std::int64_t, std::int64_t>, const Run*> runs;  // by seed and shuffling seed

  std::vector<double> values(const Measure& measure) const {
    std::vector<double> all;
    for (const auto& [seed, run] : runs) {
      if (const auto value = measure(*run)) all.push_back(*value);
    }
    return all;
  }
};

struct Setting {
  std::string shuffle;
  Cell finetune, randinit;
};

// Where a setting stands: pixels, block sizes ascending, unshuffled.
int place_of(const std::string& shuffle) {
  if (shuffle == "pixels") return -1;
  if (shuffle == "none") return 1 << 20;
  return block_size(shuffle).value_or(1 << 19);
}

Cell make_cell(const std::vector<const PlannedRun*>& planned) {
  std::map<double, Cell> by_rate;
  for (const PlannedRun* run : planned) {
    Cell& cell = by_rate[run->learning_rate.value_or(0)];
    cell.rate = run->learning_rate;
    ++cell.planned;
    if (run->run.usable()) cell.runs[{run->seed, run->shuffle_seed}] = &run->run;
  }
  const Cell* best = nullptr;
  double best_mean = 0;
  for (const auto& [rate, cell] : by_rate) {
    const std::vector<double> values = cell.values(final_performance);
    if (values.empty() && best != nullptr) continue;
    const double here = values.empty() ? -1 : mean(values);
    if (best == nullptr || here > best_mean) {
      best = &cell;
      best_mean = here;
    }
  }
  return best ? *best : Cell();
}

std::vector<Setting> settings_of(const Results& results, const std::string& target) {
  std::map<std::pair<int, std::string>,
           std::pair<std::vector<const PlannedRun*>, std::vector<const PlannedRun*>>>
      groups;
  for (const PlannedRun& run : results.runs) {
    if (run.target != target || !run.experiments.contains("shuffle")) continue;
    auto& group = groups[{place_of(run.shuffle), run.shuffle}];
    (run.finetune ? group.first : group.second).push_back(&run);
  }
  std::vector<Setting> settings;
  for (const auto& [key, group] : groups) {
    settings.push_back({key.second, make_cell(group.first), make_cell(group.second)});
  }
  return settings;
}

// A seed of the series is one seed of the runs; the seed of the shuffling goes with it, so that
// unshuffled runs, which have none, find their partners by the seed of the run.
using Values = std::map<std::int64_t, double>;
Values by_seed(const Cell& cell, const Measure& measure) {
  std::map<std::int64_t, std::vector<double>> all;
  for (const auto& [seed, run] : cell.runs) {
    if (const auto value = measure(*run)) all[seed.first].push_back(*value);
  }
  Values means;
  for (const auto& [seed, values] : all) means[seed] = mean(values);
  return means;
}

// What the claims look at: only seeds with all settings, pixel shuffling left out.
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
  if (used.empty()) return series;
  const auto fill = [&](const Measure& measure, std::vector<std::vector<double>>& finetune,
                        std::vector<std::vector<double>>& randinit) {
    std::vector<Values> first, second;
    for (const Setting* setting : used) {
      first.push_back(by_seed(setting->finetune, measure));
      second.push_back(by_seed(setting->randinit, measure));
    }
    for (const auto& [seed, ignored] : first[0]) {
      std::vector<double> a, b;
      for (std::size_t i = 0; i < used.size(); ++i) {
        if (!first[i].contains(seed) || !second[i].contains(seed)) break;
        a.push_back(first[i].at(seed));
        b.push_back(second[i].at(seed));
      }
      if (b.size() != used.size()) continue;
      finetune.push_back(a);
      randinit.push_back(b);
    }
  };
  fill(final_performance, series.finetune, series.randinit);
  fill(training_speed, series.finetune_speed, series.randinit_speed);
  return series;
}

// The mean relative drop over the seeds that both starts have, with its interval.
std::vector<double> drops_of(const Setting& setting) {
  const Values finetune = by_seed(setting.finetune, final_performance);
  const Values randinit = by_seed(setting.randinit, final_performance);
  std::vector<double> drops;
  for (const auto& [seed, value] : finetune) {
    if (randinit.contains(seed) && value > 0) {
      drops.push_back(relative_drop(value, randinit.at(seed)));
    }
  }
  return drops;
}

LineSeries over_settings(std::string name, int style, const std::vector<MeanInterval>& values,
                         double factor) {
  LineSeries series{std::move(name), style, {}, {}, {}, {}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    series.x.push_back(static_cast<double>(i));
    series.y.push_back(factor * values[i].mean);
    series.lower.push_back(factor * values[i].lower);
    series.upper.push_back(factor * values[i].upper);
  }
  return series;
}

struct Summary {
  std::vector<MeanInterval> finetune, randinit, finetune_speed, randinit_speed, drop;
};

Link write_summary(Folder& folder, const std::string& target, const std::vector<Setting>& settings,
                   const Summary& summary) {
  CsvTable table({"shuffle", "measure", "kind", "mean", "lower", "upper", "n"});
  const auto add = [&](const char* measure, const char* kind,
                       const std::vector<MeanInterval>& values) {
    for (std::size_t i = 0; i < settings.size(); ++i) {
      table.add_row({settings[i].shuffle, measure, kind, csv_cell(values[i].mean),
                     csv_cell(values[i].lower), csv_cell(values[i].upper),
                     std::to_string(values[i].n)});
    }
  };
  add("test", "finetune", summary.finetune);
  add("test", "randinit", summary.randinit);
  add("speed", "finetune", summary.finetune_speed);
  add("speed", "randinit", summary.randinit_speed);
  add("relative_drop", "", summary.drop);
  return write_figure_table(folder, "shuffle-" + target, table);
}

void add_target(Results& results, Section& section, const Target& target,
                const std::vector<Setting>& settings) {
  Metric metric = Metric::kAccuracy;
  Summary summary;
  std::vector<std::string> names;
  Table table;
  table.caption = fmt::format(
      "{}: final test performance, its relative drop from P-T to RI-T, and mean training "
      "performance (speed); mean over seeds with its 95 % confidence interval, of the better "
      "learning rate.",
      target.name);
  table.header = {"Block size", "P-T", "RI-T", "Relative drop", "Speed P-T", "Speed RI-T"};
  for (const Setting& setting : settings) {
    for (const Cell* cell : {&setting.finetune, &setting.randinit}) {
      for (const auto& [seed, run] : cell->runs) metric = *run->metric;
    }
    names.push_back(setting_name(setting.shuffle));
    const auto finetune = setting.finetune.values(final_performance);
    const auto randinit = setting.randinit.values(final_performance);
    const auto finetune_speed = setting.finetune.values(training_speed);
    const auto randinit_speed = setting.randinit.values(training_speed);
    const std::vector<double> drops = drops_of(setting);
    summary.finetune.push_back(mean_or_missing(finetune));
    summary.randinit.push_back(mean_or_missing(randinit));
    summary.finetune_speed.push_back(mean_or_missing(finetune_speed));
    summary.randinit_speed.push_back(mean_or_missing(randinit_speed));
    summary.drop.push_back(mean_or_missing(drops));
    table.rows.push_back(
        {{names.back(), ""},
         interval_cell(metric, finetune, setting.finetune.planned),
         interval_cell(metric, randinit, setting.randinit.planned),
         interval_cell(Metric::kAccuracy, drops,
                       std::max(setting.finetune.planned, setting.randinit.planned)),
         interval_cell(metric, finetune_speed, setting.finetune.planned),
         interval_cell(metric, randinit_speed, setting.randinit.planned)});
  }
  const double factor = shown(metric, 1.0);
  const Link link = write_summary(results.folder, target.name, settings, summary);
  LineChart test = performance_chart(
      metric, "Final test performance by block size on " + target.name, "Block size",
      fmt::format("{}: {}", target.name, axis_label("Test", metric)));
  LineChart drop =
      performance_chart(Metric::kAccuracy, "Relative drop by block size on " + target.name,
                        "Block size", target.name + ": Relative drop (%)");
  drop.y_floor.reset();
  LineChart speed =
      performance_chart(metric, "Training speed by block size on " + target.name, "Block size",
                        fmt::format("{}: {}", target.name, axis_label("Mean training", metric)));
  for (LineChart* chart : {&test, &drop, &speed}) {
    chart->x_categories = names;
    chart->spread = Spread::kErrorBars;
  }
  test.series = {over_settings("P-T", kFinetuneStyle, summary.finetune, factor),
                 over_settings("RI-T", kRandinitStyle, summary.randinit, factor)};
  drop.series = {over_settings("(P-T \u2212 RI-T) / P-T", kMixedStyle, summary.drop, 100)};
  speed.series = {over_settings("P-T", kFinetuneStyle, summary.finetune_speed, factor),
                  over_settings("RI-T", kRandinitStyle, summary.randinit_speed, factor)};
  section.table(table);
  section.figures(
      {{line_chart(test),
        target.name + ": final test performance by block size. Bars: 95 % confidence interval.",
        {link}},
       {line_chart(drop),
        target.name + ": how much of the performance is lost without transfer.",
        {link}},
       {line_chart(speed),
        target.name + ": mean training performance over the epochs (speed).",
        {link}}});
}

void add_paper_shuffle(const Results& results, Section& section) {
  Table table;
  table.caption =
      "The paper\u2019s Figure 3, images of side 224: test accuracy P-T / RI-T, relative drop, and "
      "mean training accuracy P-T / RI-T, in %. *: pixels and channels shuffled; 224: unshuffled. "
      "Drops are printed in the figure, the rest is read off it.";
  table.header = {"Block size"};
  std::vector<std::span<const PaperShuffle>> columns;
  for (const Target& target : results.targets) {
    const std::span<const PaperShuffle> rows = paper_shuffle(target.name);
    if (rows.empty()) continue;
    columns.push_back(rows);
    table.header.push_back(paper_numbers(target.name)->name);
  }
  if (columns.empty()) return;
  for (std::size_t i = 0; i < columns[0].size(); ++i) {
    std::vector<TableCell> row = {{columns[0][i].block, ""}};
    for (const auto& column : columns) {
      const PaperShuffle& p = column[i];
      row.push_back({fmt::format("{:.1f} / {:.1f}; drop {:.0f}", p.finetune, p.randinit, p.drop),
                     fmt::format("speed {:.1f} / {:.1f}", p.finetune_speed, p.randinit_speed)});
    }
    table.rows.push_back(std::move(row));
  }
  section.table(table);
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
    LineSeries series{"", style++, {}, {}, {}, {}};
    for (const PaperShuffle& row : paper_shuffle(target.name)) {
      if (chart.series.empty()) chart.x_categories.push_back(row.block);
      series.x.push_back(static_cast<double>(series.x.size()));
      series.y.push_back(row.drop);
    }
    if (!series.x.empty()) series.name = paper_numbers(target.name)->name;
    add_series(chart, std::move(series));
  }
  if (chart.series.empty()) return;
  section.figures({{line_chart(chart),
                    "The paper\u2019s relative drops (Figure 3). *: pixels and channels shuffled; "
                    "224: unshuffled.",
                    {}}});
}

std::string drop_range(const std::string& target) {
  const std::span<const PaperShuffle> rows = paper_shuffle(target);
  if (rows.empty()) return "";
  return fmt::format("drop {:.0f} % at block 1, {:.0f} % unshuffled", rows[1].drop,
                     rows.back().drop);
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
    settings[target.name] = settings_of(results, target.name);
    series[target.name] = series_of(settings[target.name]);
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
                             results.source_model, done, planned, duration(seconds)));
  } else {
    section.not_run("Training on shuffled images.");
  }

  Claim falls{"Performance falls as the blocks get smaller", kShuffleFallsRule, {}};
  Claim shrinks{"The relative benefit of transfer shrinks with the blocks (real, clipart)",
                kDropShrinksRule,
                {}};
  Claim stays{"The relative benefit of transfer does not shrink with the blocks (quickdraw)",
              kDropStaysRule,
              {}};
  Claim flat{"P-T\u2019s speed hardly depends on the block size, RI-T\u2019s does", kSpeedRule, {}};
  for (const Target& target : results.targets) {
    const std::span<const PaperShuffle> paper = paper_shuffle(target.name);
    if (paper.empty() && settings[target.name].empty()) continue;  // not an experiment there
    const ShuffleSeries& s = series[target.name];
    const auto add = [&](Claim& claim, Judgement judgement, const std::string& figure) {
      claim.findings.push_back(
          {target.name, std::move(judgement), paper_text(target.name, figure)});
    };
    Metric metric = Metric::kAccuracy;
    for (const PlannedRun& run : results.runs) {
      if (run.target == target.name && run.run.usable()) metric = *run.run.metric;
    }
    add(falls, judge_shuffle_falls(metric, s),
        paper.empty() ? ""
                      : fmt::format("{:.1f} / {:.1f} % at block 1, {:.1f} / {:.1f} % unshuffled",
                                    paper[1].finetune, paper[1].randinit, paper.back().finetune,
                                    paper.back().randinit));
    const PaperNumbers* numbers = paper_numbers(target.name);
    const std::string name = numbers ? numbers->name : "";
    if (name == "real" || name == "clipart") {
      add(shrinks, judge_drop_shrinks(s), drop_range(target.name));
    }
    if (name == "quickdraw") add(stays, judge_drop_stays(s), drop_range(target.name));
    add(flat, judge_shuffle_speed(s),
        paper.empty()
            ? ""
            : fmt::format("lost at block 1: P-T {:.0f} %, RI-T {:.0f} %",
                          100 * (1 - paper[1].finetune_speed / paper.back().finetune_speed),
                          100 * (1 - paper[1].randinit_speed / paper.back().randinit_speed)));
  }
  for (Claim* claim : {&falls, &shrinks, &stays, &flat}) {
    if (claim->findings.empty()) {
      claim->findings.push_back({"All targets", judged_not_run(), "see Figure 3 of the paper"});
    }
    section.claim(*claim);
  }
  for (const Target& target : results.targets) {
    if (settings[target.name].empty()) {
      if (planned > 0 && !paper_shuffle(target.name).empty()) {
        section.not_run("Shuffling on " + target.name + ".");
      }
      continue;
    }
    add_target(results, section, target, settings[target.name]);
  }
  add_paper_figure(results, section);
  add_paper_shuffle(results, section);
}

}  // namespace basin::report
