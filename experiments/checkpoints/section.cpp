// Fine-tuning from intermediate checkpoints of pre-training. Paper, section 3.5, Figure 7.
#include <fmt/format.h>

#include "experiments/checkpoints/claims.h"
#include "experiments/report/measures.h"

namespace basin::report {
namespace {

constexpr std::size_t kFewestSeeds = 2;
constexpr double kPlateauMargin = 0.01;  // of the performance

// Figure 7 of the paper: checkpoint of 90, final test accuracy and mean training accuracy, per
// cent; 0: off the plot.
struct PaperCheckpoint {
  int epoch;
  double test, speed;
};
constexpr PaperCheckpoint kRealCheckpoints[] = {
    {0, 61.3, 72.8},  {1, 61.8, 79.2},  {2, 64.1, 84.9},  {5, 69.6, 89.8},  {10, 73.5, 91.4},
    {29, 76.2, 92.2}, {30, 76.5, 92.2}, {31, 76.8, 92.6}, {59, 78.4, 93.4}, {60, 78.4, 93.4},
    {61, 78.4, 93.4}, {89, 78.4, 93.3}, {90, 78.4, 93.3},
};
constexpr PaperCheckpoint kClipartCheckpoints[] = {
    {0, 0, 0},        {1, 0, 78.7},     {2, 61, 84.9},    {5, 67.1, 89.6},  {10, 70.6, 91},
    {29, 72.6, 91.7}, {30, 72.8, 91.7}, {31, 72.9, 91.8}, {59, 74.2, 92.5}, {60, 74.1, 92.5},
    {61, 74.1, 92.6}, {89, 73.9, 92.5}, {90, 73.9, 92.5},
};
constexpr PaperCheckpoint kQuickdrawCheckpoints[] = {
    {0, 64.3, 70.2},  {1, 64.6, 74.8},  {2, 64.9, 78.6},  {5, 66.1, 82.6},  {10, 66.8, 84.4},
    {29, 66.9, 85.7}, {30, 66.8, 85.7}, {31, 66.9, 85.6}, {59, 67.2, 86.5}, {60, 67.2, 86.5},
    {61, 67.3, 86.5}, {89, 66.9, 86.5}, {90, 66.9, 86.5},
};

std::span<const PaperCheckpoint> paper_checkpoints(std::string_view target) {
  if (is_paper_target(target, "real")) return kRealCheckpoints;
  if (is_paper_target(target, "clipart")) return kClipartCheckpoints;
  if (is_paper_target(target, "quickdraw")) return kQuickdrawCheckpoints;
  return {};
}

// The paper's figures at two checkpoints and the last one.
std::string paper_pair(const std::string& target, int first, int second) {
  std::string text;
  const std::span<const PaperCheckpoint> all = paper_checkpoints(target);
  for (const PaperCheckpoint& p : all) {
    const bool is_last = &p == &all.back();
    if (p.epoch != first && p.epoch != second && !is_last) continue;
    if (!text.empty()) text += ", ";
    text += p.test > 0 ? fmt::format("{:.1f} % at {}", p.test, p.epoch)
                       : fmt::format("below 60 % at {}", p.epoch);
  }
  return text;
}

// The runs on one target by the checkpoint they started from, at the learning rate with the better
// mean final performance at the last checkpoint.
struct CheckpointRuns {
  Metric metric = Metric::kAccuracy;
  std::size_t planned = 0, done = 0;
  std::map<std::int64_t, RunGroup> groups;  // by epoch; those with runs that are done

  CheckpointSeries series() const {
    CheckpointSeries series;
    std::vector<std::map<std::int64_t, double>> columns;
    for (const auto& [epoch, group] : groups) {
      series.epochs.push_back(static_cast<double>(epoch));
      columns.push_back(group.by_seed(final_performance));
    }
    series.performance = complete_seeds(columns);
    return series;
  }
};

CheckpointRuns runs_of(const Results& results, const std::string& target) {
  std::map<std::int64_t, std::vector<const PlannedRun*>> by_epoch;
  for (const PlannedRun& run : results.runs) {
    if (run.target == target && run.finetune && run.pretrained_epoch && run.shuffle == "none" &&
        run.experiments.contains("checkpoints")) {
      by_epoch[*run.pretrained_epoch].push_back(&run);
    }
  }
  CheckpointRuns all;
  if (by_epoch.empty()) return all;
  const std::optional<double> rate = best_rate(by_epoch.rbegin()->second);
  for (const auto& [epoch, runs] : by_epoch) {
    RunGroup group;
    for (const PlannedRun* run : runs) {
      if (has_rate(*run, rate)) group.add(*run);
    }
    all.planned += group.planned;
    all.done += group.runs.size();
    if (group.runs.empty()) continue;
    if (all.groups.empty()) all.metric = *group.runs.begin()->second->metric;
    all.groups[epoch] = std::move(group);
  }
  return all;
}

}  // namespace

Judgement judge_early_gain(Metric metric, const CheckpointSeries& series) {
  if (series.performance.empty()) return judged_not_run();
  const double end = series.epochs.back();
  std::size_t early = 0;
  for (std::size_t i = 0; i < series.epochs.size(); ++i) {
    if (series.epochs[i] <= end / 3) early = i;
  }
  if (series.epochs.front() != 0 || early == 0 || series.performance.size() < kFewestSeeds) {
    return {Verdict::kNotEnough,
            fmt::format("checkpoint 0, one in the first third of pre-training and {} seeds are "
                        "needed",
                        kFewestSeeds)};
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
  return decide(interval.lower > 0, measured + "; beyond half " + format_mean(metric, interval));
}

Judgement judge_plateau(Metric metric, const CheckpointSeries& series) {
  if (series.performance.empty()) return judged_not_run();
  const double end = series.epochs.back();
  std::optional<std::size_t> before;
  for (std::size_t i = 0; i < series.epochs.size(); ++i) {
    if (series.epochs[i] > 0 && series.epochs[i] <= end * 2 / 3) before = i;
  }
  if (!before || series.performance.size() < kFewestSeeds) {
    return {Verdict::kNotEnough,
            fmt::format("a checkpoint in the first two thirds of pre-training and {} seeds are "
                        "needed",
                        kFewestSeeds)};
  }
  std::vector<double> earlier, last;
  for (const std::vector<double>& seed : series.performance) {
    earlier.push_back(seed[*before]);
    last.push_back(seed.back());
  }
  const MeanInterval difference = paired_difference(earlier, last).difference;
  return decide(difference.lower, difference.upper, -kPlateauMargin,
                fmt::format("epoch {:g} minus epoch {:g}: {}", series.epochs[*before], end,
                            format_mean(metric, difference)));
}

namespace {

void add_claims(const Results& results, std::map<std::string, CheckpointRuns>& all,
                Section& section) {
  const ClaimScope scope{[&](const Target& target) {
                           return all[target.name].planned > 0 ||
                                  !paper_checkpoints(target.name).empty();
                         },
                         "no measurement", "see Figure 7 of the paper"};
  section.claim(target_claim(
      results, "Most of the gain is there at an early checkpoint",
      fmt::format("Early is the last measured checkpoint within the first third of pre-training "
                  "(the paper\u2019s plateau begins at 29 to 31 of 90 epochs). For each seed, half "
                  "the gain of the last checkpoint over checkpoint 0 is taken off the early "
                  "one\u2019s. Reproduced if the lower end of the 95 % confidence interval of the "
                  "mean lies above 0: most of the gain is there early. At least {} seeds, "
                  "checkpoint 0, and a last checkpoint whose own gain is above 0 by the same test "
                  "are needed.",
                  kFewestSeeds),
      [&](const Target& target) {
        return judge_early_gain(all[target.name].metric, all[target.name].series());
      },
      [](const Target& target) { return paper_pair(target.name, 0, 30); }, scope));
  section.claim(target_claim(
      results, "A checkpoint before the last does as well as the last",
      fmt::format("Compared is the last measured checkpoint within the first two thirds of "
                  "pre-training (the paper\u2019s 59 or 60 of 90 epochs) with the last one, runs "
                  "paired by seed. Reproduced if the lower end of the 95 % confidence interval of "
                  "the mean difference lies above \u2212{} (\u2212{}); not reproduced if the upper "
                  "end lies below that; else not enough data. At least {} seeds are needed.",
                  format_points(kPlateauMargin), kPlateauMargin, kFewestSeeds),
      [&](const Target& target) {
        return judge_plateau(all[target.name].metric, all[target.name].series());
      },
      [](const Target& target) { return paper_pair(target.name, 60, 60); }, scope));
}

void add_target(Results& results, Section& section, const Target& target,
                const CheckpointRuns& runs) {
  const Metric metric = runs.metric;
  Table table{
      target.name +
          ": performance after fine-tuning from each checkpoint of pre-training, and mean training "
          "performance over the epochs (speed); mean over seeds with its 95 % confidence interval.",
      {"Checkpoint (epoch)", "Final test", "Speed"}};
  CsvTable csv({"epoch", "measure", "mean", "lower", "upper", "n"});
  Curve test, speed;
  for (const auto& [epoch, group] : runs.groups) {
    TableRow& row = table.rows.emplace_back(TableRow{std::to_string(epoch)});
    const auto add = [&](Curve& curve, const char* name, const Measure& measure) {
      const std::vector<double> values = group.values(measure);
      curve.add(static_cast<double>(epoch), values);
      row.push_back(interval_cell(metric, values, group.planned));
      add_row(csv, {std::to_string(epoch), name}, curve.values.back());
    };
    add(test, "test", final_performance);
    add(speed, "speed", training_speed);
  }
  const Link link = write_figure_table(results.folder, "checkpoints-" + target.name, csv);
  const auto chart_of = [&](const char* what, const char* measure, const Curve& curve) {
    LineChart chart = performance_chart(
        metric, fmt::format("{} by checkpoint on {}", what, target.name), "Pre-training epoch",
        fmt::format("{}: {}", target.name, axis_label(measure, metric)));
    chart.spread = Spread::kErrorBars;
    chart.integer_x = true;
    chart.series = {curve_series("P-T", kFinetuneStyle, metric, curve)};
    return chart;
  };
  LineChart finals = chart_of("Final test performance", "Final test", test);
  // The source's test performance after each epoch, the background of the paper's figure.
  const auto& source = results.source;
  if (source && source->usable() && *source->metric == metric) {
    add_series(finals, run_series(*source, column_name("test", metric), "P on the source",
                                  kFourthStyle, shown(metric, 1.0)));
  }
  section.table(table);
  section.figures(
      {{line_chart(finals),
        target.name + ": final test performance by the checkpoint fine-tuning started from, and "
                      "that of the pre-trained network itself on the source.",
        {link}},
       {line_chart(chart_of("Training speed", "Mean training", speed)),
        target.name + ": mean training performance over the epochs (speed).",
        {link}}});
}

void add_paper_checkpoints(const Results& results, Section& section) {
  const auto text = [](double value) {
    return value > 0 ? fmt::format("{:.1f}", value) : std::string("off the plot");
  };
  paper_table(
      results, section,
      {"The paper\u2019s Figure 7, read off the plot: final test accuracy and, below it, mean "
       "training accuracy, in %, after fine-tuning from a checkpoint of 90 epochs of pre-training.",
       {"Checkpoint"}},
      paper_checkpoints, [](const PaperCheckpoint& p) { return std::to_string(p.epoch); },
      [&](const PaperCheckpoint& p) { return TableCell(text(p.test), "speed " + text(p.speed)); });
}

}  // namespace

void write_checkpoints(Results& results, Section& section) {
  section.lead("Question", "Must pre-training be finished before fine-tuning?");
  section.lead("Paper",
               "No. Most of the gain is there at an early checkpoint, and from some checkpoint "
               "before the last on nothing is gained: it is the one at which pre-training enters "
               "its final basin.");
  std::map<std::string, CheckpointRuns> all;
  std::size_t done = 0, planned = 0;
  for (const Target& target : results.targets) {
    const CheckpointRuns& runs = all[target.name] = runs_of(results, target.name);
    done += runs.done;
    planned += runs.planned;
  }
  if (planned > 0) {
    section.lead("Run here",
                 fmt::format("{}, pre-trained for {} epochs; {} of {} fine-tuning runs done.",
                             results.source_model, results.source_epochs, done, planned));
  } else {
    section.not_run("Fine-tuning from earlier checkpoints.");
  }
  add_claims(results, all, section);
  for (const Target& target : results.targets) {
    const CheckpointRuns& runs = all[target.name];
    if (!runs.groups.empty()) {
      add_target(results, section, target, runs);
    } else if (planned > 0 && !paper_checkpoints(target.name).empty()) {
      section.not_run("Earlier checkpoints on " + target.name + ".");
    }
  }
  add_paper_checkpoints(results, section);
}

}  // namespace basin::report
