// What several sections need: measures of runs, how figures are labelled, claims over all targets.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/report/page.h"
#include "experiments/report/paper_numbers.h"
#include "experiments/report/results.h"
#include "experiments/report/statistics.h"
#include "experiments/report/svg.h"

namespace basin::report {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr int kFinetuneStyle = 0;
constexpr int kRandinitStyle = 1;
constexpr int kMixedStyle = 2;
constexpr int kFourthStyle = 3;

// Networks trained on the target, and pairs of networks: as folders call them, as the report calls
// them, and the style of their lines and bars.
struct TrainedKind {
  const char* kind;
  const char* name;
  int style;
};
constexpr TrainedKind kTrainedKinds[] = {{"finetune", "P-T", kFinetuneStyle},
                                         {"randinit", "RI-T", kRandinitStyle}};
struct PairKind {
  const char* pair;
  const char* name;
  int style;
};

// ---- Runs ----

// Final test performance of the runs that are done.
std::vector<double> performances(const std::vector<Run>& runs);

// The measurements of runs with the same number, where both kinds have one.
struct Pairs {
  std::vector<double> finetune, randinit;
};
using Measure = std::function<std::optional<double>(const Run&)>;
Pairs pair_up(const Target& target, const Measure& measure);
std::optional<double> final_performance(const Run& run);
// The paper's measure of speed: the mean over the epochs of the training performance in evaluation
// mode. Nothing where an epoch was not measured.
std::optional<double> training_speed(const Run& run);

// "test" and kAuc: "test_auc"
std::string column_name(const std::string& split, Metric metric);

// A mean and, from two values on, its 95 % interval; NaN bounds for one value, NaN mean for none.
MeanInterval mean_or_missing(const std::vector<double>& values);
TableCell interval_cell(Metric metric, const std::vector<double>& values, std::size_t planned);

// Per epoch the mean over runs and, from two runs on, its 95 % interval.
struct Curve {
  std::vector<double> epoch, mean, lower, upper;
  std::vector<std::size_t> n;
};
Curve average_curve(const std::vector<Run>& runs, const std::string& split);

// ---- Labels ----

// Fractions as the charts show them: accuracy in per cent.
double shown(Metric metric, double value);
std::vector<double> shown(Metric metric, std::vector<double> values);
std::string axis_label(const std::string& what, Metric metric);
double ceiling(Metric metric);
int chart_decimals(Metric metric);
std::string count_text(std::size_t done, std::size_t planned);  // "n = 2 of 3"
std::string duration(double seconds);
// "photo, clipart and quickdraw"
std::string enumerate(const std::vector<std::string>& names);

// A line chart over epochs or another whole number.
LineChart performance_chart(Metric metric, std::string description, std::string x_label,
                            std::string y_label);
// Adds the series unless it has no point.
void add_series(LineChart& chart, LineSeries series);
// The number as a cell; empty for NaN.
std::string csv_cell(double value);
// Writes figures/`name`.csv and returns the link to it.
Link write_figure_table(Folder& folder, const std::string& name, const CsvTable& table);

// ---- Claims ----

// One claim over all targets. `judge` gives the judgement, `paper` the paper's figure or "".
Claim target_claim(const Results& results, std::string statement, std::string rule,
                   const std::function<Judgement(const Target&)>& judge,
                   const std::function<std::string(const Target&)>& paper);
// The paper's figure with the name of its target, where that is another, or that there is none.
std::string paper_text(const std::string& target, const std::string& figure);
inline constexpr const char* kNoPaperFigure = "no figure found";

// The two names one pair of networks may go by, such as "randinit-finetune".
std::string reversed_pair(const std::string& pair);

}  // namespace basin::report
