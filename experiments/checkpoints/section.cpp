// Fine-tuning from intermediate checkpoints of pre-training. Paper, section 3.5, Figure 7.
#include <fmt/format.h>

#include "experiments/report/claims_runs.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"

namespace basin::report {
namespace {

// The runs on one target by the checkpoint they started from, at the learning rate with the better
// mean final performance at the last checkpoint.
struct Sweep {
  std::map<std::int64_t, std::map<std::int64_t, const Run*>> runs;  // by epoch and seed
  std::map<std::int64_t, std::size_t> planned;                      // by epoch
};

std::optional<double> best_rate(const std::vector<const PlannedRun*>& runs) {
  std::int64_t last = 0;
  for (const PlannedRun* run : runs) last = std::max(last, *run->pretrained_epoch);
  std::map<double, std::vector<double>> by_rate;
  for (const PlannedRun* run : runs) {
    if (*run->pretrained_epoch == last && run->run.usable() && run->learning_rate) {
      by_rate[*run->learning_rate].push_back(*run->run.performance);
    }
  }
  std::optional<double> best;
  for (const auto& [rate, values] : by_rate) {
    if (!best || mean(values) > mean(by_rate[*best])) best = rate;
  }
  return best;
}

Sweep sweep_of(const Results& results, const std::string& target) {
  std::vector<const PlannedRun*> runs;
  for (const PlannedRun& run : results.runs) {
    if (run.target == target && run.finetune && run.pretrained_epoch && run.shuffle == "none" &&
        run.experiments.contains("checkpoints")) {
      runs.push_back(&run);
    }
  }
  const std::optional<double> rate = best_rate(runs);
  Sweep sweep;
  for (const PlannedRun* run : runs) {
    if (rate && run->learning_rate && *run->learning_rate != *rate) continue;
    ++sweep.planned[*run->pretrained_epoch];
    if (run->run.usable()) sweep.runs[*run->pretrained_epoch][run->seed] = &run->run;
  }
  return sweep;
}

std::vector<double> values_of(const std::map<std::int64_t, const Run*>& runs,
                              const Measure& measure) {
  std::vector<double> all;
  for (const auto& [seed, run] : runs) {
    if (const auto value = measure(*run)) all.push_back(*value);
  }
  return all;
}

// What the claims look at: only seeds that have all checkpoints.
CheckpointSeries series_of(const Sweep& sweep) {
  CheckpointSeries series;
  if (sweep.runs.empty()) return series;
  for (const auto& [epoch, runs] : sweep.runs) {
    series.epochs.push_back(static_cast<double>(epoch));
  }
  for (const auto& [seed, ignored] : sweep.runs.begin()->second) {
    std::vector<double> values;
    for (const auto& [epoch, runs] : sweep.runs) {
      const auto found = runs.find(seed);
      if (found == runs.end()) break;
      values.push_back(*found->second->performance);
    }
    if (values.size() == series.epochs.size()) series.performance.push_back(values);
  }
  return series;
}

Metric sweep_metric(const Sweep& sweep) {
  for (const auto& [epoch, runs] : sweep.runs) {
    for (const auto& [seed, run] : runs) return *run->metric;
  }
  return Metric::kAccuracy;
}

// The source's test performance after each epoch, the background of the paper's figure.
LineSeries source_series(const Results& results, Metric metric) {
  LineSeries series{"P on the source", kFourthStyle, {}, {}, {}, {}};
  if (!results.source || !results.source->usable() || *results.source->metric != metric) {
    return series;
  }
  const std::string column = column_name("test", metric);
  const CsvTable& table = *results.source->metrics;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (const auto value = table.number(row, column)) {
      series.x.push_back(*table.number(row, "epoch"));
      series.y.push_back(shown(metric, *value));
    }
  }
  return series;
}

void add_target(Results& results, Section& section, const Target& target, const Sweep& sweep) {
  const Metric metric = sweep_metric(sweep);
  Table table;
  table.caption = fmt::format(
      "{}: performance after fine-tuning from each checkpoint of pre-training, and mean training "
      "performance over the epochs (speed); mean over seeds with its 95 % confidence interval.",
      target.name);
  table.header = {"Checkpoint (epoch)", "Final test", "Speed"};
  LineChart test = performance_chart(
      metric, "Final test performance by checkpoint on " + target.name, "Pre-training epoch",
      fmt::format("{}: {}", target.name, axis_label("Final test", metric)));
  LineChart speed = performance_chart(
      metric, "Training speed by checkpoint on " + target.name, "Pre-training epoch",
      fmt::format("{}: {}", target.name, axis_label("Mean training", metric)));
  CsvTable csv({"epoch", "measure", "mean", "lower", "upper", "n"});
  LineSeries lines[2] = {{"P-T", kFinetuneStyle, {}, {}, {}, {}},
                         {"P-T", kFinetuneStyle, {}, {}, {}, {}}};
  for (const auto& [epoch, runs] : sweep.runs) {
    const std::size_t planned = sweep.planned.at(epoch);
    const std::vector<double> finals = values_of(runs, final_performance);
    const std::vector<double> speeds = values_of(runs, training_speed);
    table.rows.push_back({{std::to_string(epoch), ""},
                          interval_cell(metric, finals, planned),
                          interval_cell(metric, speeds, planned)});
    for (int measure = 0; measure < 2; ++measure) {
      const MeanInterval interval = mean_or_missing(measure == 0 ? finals : speeds);
      LineSeries& line = lines[measure];
      line.x.push_back(static_cast<double>(epoch));
      line.y.push_back(shown(metric, interval.mean));
      line.lower.push_back(shown(metric, interval.lower));
      line.upper.push_back(shown(metric, interval.upper));
      csv.add_row({std::to_string(epoch), measure == 0 ? "test" : "speed", csv_cell(interval.mean),
                   csv_cell(interval.lower), csv_cell(interval.upper), std::to_string(interval.n)});
    }
  }
  const Link link = write_figure_table(results.folder, "checkpoints-" + target.name, csv);
  test.spread = speed.spread = Spread::kErrorBars;
  test.integer_x = speed.integer_x = true;
  test.series = {lines[0]};
  add_series(test, source_series(results, metric));
  speed.series = {lines[1]};
  section.table(table);
  section.figures(
      {{line_chart(test),
        target.name + ": final test performance by the checkpoint fine-tuning started from, and "
                      "that of the pre-trained network itself on the source.",
        {link}},
       {line_chart(speed),
        target.name + ": mean training performance over the epochs (speed).",
        {link}}});
}

void add_paper_checkpoints(const Results& results, Section& section) {
  Table table;
  table.caption =
      "The paper\u2019s Figure 7, read off the plot: final test accuracy and, below it, mean "
      "training accuracy, in %, after fine-tuning from a checkpoint of 90 epochs of pre-training.";
  table.header = {"Checkpoint"};
  std::vector<std::span<const PaperCheckpoint>> columns;
  for (const Target& target : results.targets) {
    const std::span<const PaperCheckpoint> rows = paper_checkpoints(target.name);
    if (rows.empty()) continue;
    columns.push_back(rows);
    table.header.push_back(paper_numbers(target.name)->name);
  }
  if (columns.empty()) return;
  const auto text = [](double value) {
    return value > 0 ? fmt::format("{:.1f}", value) : std::string("off the plot");
  };
  for (std::size_t i = 0; i < columns[0].size(); ++i) {
    std::vector<TableCell> row = {{std::to_string(columns[0][i].epoch), ""}};
    for (const auto& column : columns) {
      row.push_back({text(column[i].test), "speed " + text(column[i].speed)});
    }
    table.rows.push_back(std::move(row));
  }
  section.table(table);
}

// The paper's figures at two checkpoints.
std::string paper_pair(const std::string& target, int first, int second) {
  std::string text;
  for (const PaperCheckpoint& p : paper_checkpoints(target)) {
    if (p.epoch != first && p.epoch != second) continue;
    if (!text.empty()) text += ", ";
    text += p.test > 0 ? fmt::format("{:.1f} % at {}", p.test, p.epoch)
                       : fmt::format("below 60 % at {}", p.epoch);
  }
  return text.empty() ? text
                      : text + ", " +
                            fmt::format("{:.1f} % at {}", paper_checkpoints(target).back().test,
                                        paper_checkpoints(target).back().epoch);
}

}  // namespace

void write_checkpoints(Results& results, Section& section) {
  section.lead("Question", "Must pre-training be finished before fine-tuning?");
  section.lead("Paper",
               "No. Most of the gain is there at an early checkpoint, and from some checkpoint "
               "before the last on nothing is gained: it is the one at which pre-training enters "
               "its final basin.");
  std::map<std::string, Sweep> sweeps;
  std::size_t done = 0, planned = 0;
  for (const Target& target : results.targets) {
    const Sweep& sweep = sweeps[target.name] = sweep_of(results, target.name);
    for (const auto& [epoch, runs] : sweep.runs) done += runs.size();
    for (const auto& [epoch, count] : sweep.planned) planned += count;
  }
  if (planned > 0) {
    section.lead("Run here",
                 fmt::format("{}, pre-trained for {} epochs; {} of {} fine-tuning runs done.",
                             results.source_model, results.source_epochs, done, planned));
  } else {
    section.not_run("Fine-tuning from earlier checkpoints.");
  }
  Claim early{"Most of the gain is there at an early checkpoint", kEarlyGainRule, {}};
  Claim plateau{"A checkpoint before the last does as well as the last", kPlateauRule, {}};
  for (const Target& target : results.targets) {
    const Sweep& sweep = sweeps[target.name];
    if (paper_checkpoints(target.name).empty() && sweep.planned.empty()) continue;
    const CheckpointSeries series = series_of(sweep);
    const Metric metric = sweep_metric(sweep);
    early.findings.push_back({target.name, judge_early_gain(metric, series),
                              paper_text(target.name, paper_pair(target.name, 0, 30))});
    plateau.findings.push_back({target.name, judge_plateau(metric, series),
                                paper_text(target.name, paper_pair(target.name, 60, 60))});
  }
  for (Claim* claim : {&early, &plateau}) {
    if (claim->findings.empty()) {
      claim->findings.push_back({"All targets", judged_not_run(), "see Figure 7 of the paper"});
    }
    section.claim(*claim);
  }
  for (const Target& target : results.targets) {
    const Sweep& sweep = sweeps[target.name];
    if (!sweep.runs.empty()) {
      add_target(results, section, target, sweep);
    } else if (planned > 0 && !paper_checkpoints(target.name).empty()) {
      section.not_run("Earlier checkpoints on " + target.name + ".");
    }
  }
  add_paper_checkpoints(results, section);
}

}  // namespace basin::report
