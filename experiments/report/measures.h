// What several sections need: analyses by target and kind, measures of runs, charts and tables of
// them, claims over all targets.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "experiments/program/start.h"
#include "experiments/report/page.h"
#include "experiments/report/paper.h"
#include "experiments/report/results.h"
#include "experiments/report/statistics.h"
#include "experiments/report/svg.h"

namespace basin::report {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
inline constexpr const char* kNoPaperFigure = "no figure found";

// A kind of network, of pair, or of line between two networks: as the folders call it, as the
// report calls it, and the style of its lines and bars.
struct Kind {
  const char* kind;
  const char* name;
  int style;
};
constexpr int kFinetuneStyle = 0, kRandinitStyle = 1, kMixedStyle = 2, kFourthStyle = 3;
inline constexpr const char *kFinetune = name_of(Start::kFinetune),
                            *kRandinit = name_of(Start::kRandinit);
inline constexpr const char *kFinetunePair = "finetune-finetune",
                            *kRandinitPair = "randinit-randinit", *kMixedPair = "randinit-finetune";
constexpr Kind kTrainedKinds[] = {{kFinetune, "P-T", kFinetuneStyle},
                                  {kRandinit, "RI-T", kRandinitStyle}};
constexpr Kind kPerTarget[] = {{"", "", 0}};  // of analyses without kinds

// ---- Analyses ----

// A table of a finished analysis. Cells that must not be empty are checked, with the file's name.
struct AnalysisTable {
  std::string analysis, file;
  bool reversed;  // the folder names the pair the other way round, as finetune-randinit
  CsvTable table;

  double number(std::size_t row, const char* column) const {
    return required(table, row, column, file);
  }
};

// What was measured, by target and kind.
template <class T>
using Measured = std::map<std::string, std::map<std::string, T>>;

// `file` of the analysis NAME-TARGET-KIND; nothing where that was not run or cannot be read.
std::optional<AnalysisTable> open_analysis(Results& results, const std::string& name,
                                           const std::string& target, const std::string& kind,
                                           const char* file);

// read(table) of each target's and kind's analysis. What it throws becomes a problem of the file,
// and the analysis counts as not run.
template <class T, class Read>
Measured<T> read_analyses(Results& results, const std::string& name, const char* file,
                          std::span<const Kind> kinds, Read read) {
  Measured<T> measured;
  for (const Target& target : results.targets) {
    for (const Kind& kind : kinds) {
      const auto table = open_analysis(results, name, target.name, kind.kind, file);
      if (!table) continue;
      results.folder.attempt(table->file, [&] {
        T value = read(*table);  // before there is an entry: it may throw
        measured[target.name].emplace(kind.kind, std::move(value));
      });
    }
  }
  return measured;
}

template <class T>
const T* find(const Measured<T>& measured, const std::string& target, const std::string& kind) {
  const auto of_target = measured.find(target);
  if (of_target == measured.end()) return nullptr;
  const auto found = of_target->second.find(kind);
  return found == of_target->second.end() ? nullptr : &found->second;
}

// Calls action(target, its measurements) in the plan's order. Targets without any are said not to
// have run, unless nothing was, which the section says itself.
template <class T, class Action>
void for_each_target(const Results& results, Section& section, const Measured<T>& measured,
                     const std::string& what, Action action) {
  for (const Target& target : results.targets) {
    const auto found = measured.find(target.name);
    if (found != measured.end()) {
      action(target, found->second);
    } else if (!measured.empty()) {
      section.not_run(what + " on " + target.name + ".");
    }
  }
}

// Appends what is not in the list yet.
void remember(std::vector<std::string>& names, const std::string& name);

// ---- Runs ----

using Measure = std::function<std::optional<double>(const Run&)>;
std::optional<double> final_performance(const Run& run);
// The paper's measure of speed: the mean over the epochs of the training performance in evaluation
// mode. Nothing where an epoch was not measured.
std::optional<double> training_speed(const Run& run);

// Final test performance of the runs that are done.
std::vector<double> performances(const std::vector<Run>& runs);

// The measurements of runs with the same number, where both kinds have one.
struct Pairs {
  std::vector<double> finetune, randinit;
};
Pairs pair_up(const Target& target, const Measure& measure);

// Runs that differ in their seeds only.
struct RunGroup {
  std::size_t planned = 0;
  std::map<std::pair<std::int64_t, std::int64_t>, const Run*> runs;  // by seed and shuffling seed

  void add(const PlannedRun& run);
  std::vector<double> values(const Measure& measure) const;
  // Means over the shuffling seeds of a seed.
  std::map<std::int64_t, double> by_seed(const Measure& measure) const;
};
// The learning rate with the best mean final performance, the lowest of equal ones.
std::optional<double> best_rate(const std::vector<const PlannedRun*>& runs);
// Whether a run counts where runs of `rate` do: those of plans without rates always count.
bool has_rate(const PlannedRun& run, std::optional<double> rate);
// One row per seed that all settings have, with its value at each.
std::vector<std::vector<double>> complete_seeds(
    const std::vector<std::map<std::int64_t, double>>& settings);

// "test" and kAuc: "test_auc"
std::string column_name(const std::string& split, Metric metric);

// A mean and, from two values on, its 95 % interval; NaN bounds for one value, NaN mean for none.
MeanInterval mean_or_missing(const std::vector<double>& values);
TableCell interval_cell(Metric metric, const std::vector<double>& values, std::size_t planned);
// A row of `cells`, mean, lower and upper bound, n. What is missing is an empty cell.
void add_row(CsvTable& table, std::vector<std::string> cells, const MeanInterval& interval);

// Means over runs at epochs or other places.
struct Curve {
  std::vector<double> x;
  std::vector<MeanInterval> values;

  void add(double at, const std::vector<double>& measured) {
    x.push_back(at);
    values.push_back(mean_or_missing(measured));
  }
};
// Per epoch the mean over runs.
Curve average_curve(const std::vector<Run>& runs, const std::string& split);
// A column of a run's metrics over the epochs, as the charts show it. Empty where it is not there.
LineSeries run_series(const Run& run, const std::string& column, const std::string& name, int style,
                      double factor);

// ---- Charts and tables ----

// Fractions as the charts show them: accuracy in per cent.
double shown(Metric metric, double value);
std::vector<double> shown(Metric metric, std::vector<double> values);
std::string axis_label(const std::string& what, Metric metric);
double ceiling(Metric metric);
int chart_decimals(Metric metric);
std::string count_text(std::size_t done, std::size_t planned);  // "n = 2 of 3"
// "photo, clipart and quickdraw"
std::string enumerate(const std::vector<std::string>& names);

// A line chart over epochs or another whole number.
LineChart performance_chart(Metric metric, std::string description, std::string x_label,
                            std::string y_label);
LineChart loss_chart(std::string description, std::string x_label, std::string y_label);
LineSeries curve_series(std::string name, int style, Metric metric, const Curve& curve);
// Adds the series unless it has no point.
void add_series(LineChart& chart, LineSeries series);
// A value per module (rows) and kind (columns); `value` gives it for names of both.
HeatMap module_map(std::string description, std::string value_label,
                   const std::vector<std::string>& modules, std::span<const Kind> kinds,
                   const std::function<double(const std::string&, const Kind&)>& value);
// Writes figures/`name`.csv and returns the link to it.
Link write_figure_table(Folder& folder, const std::string& name, const CsvTable& table);

// The paper's numbers as a table with a column per target that rows_of(target) has rows for. All
// have the same rows; name(row) is the first cell, cell(row) one of the others.
template <class RowsOf, class Name, class Cell>
void paper_table(const Results& results, Section& section, Table table, RowsOf rows_of, Name name,
                 Cell cell) {
  for (const Target& target : results.targets) {
    const auto rows = rows_of(target.name);
    if (rows.empty()) continue;
    table.header.emplace_back(paper_target(target.name)->name);
    table.rows.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (table.rows[i].empty()) table.rows[i].push_back(name(rows[i]));
      table.rows[i].push_back(cell(rows[i]));
    }
  }
  section.table(table);
}

// ---- Claims ----

using PaperFigure = std::function<std::string(const Target&)>;  // "": none
// The paper's figure on CheXpert, its only one.
PaperFigure on_chexpert(std::string text);

struct ClaimScope {
  std::function<bool(const Target&)> includes = [](const Target&) { return true; };
  // Where no target is included: the measurement and the paper's figure.
  const char* measured = "no target in this folder";
  const char* paper = "see below";
};
// One claim over all targets.
Claim target_claim(const Results& results, std::string statement, std::string rule,
                   const std::function<Judgement(const Target&)>& judge,
                   const PaperFigure& paper = nullptr, const ClaimScope& scope = {});

}  // namespace basin::report
