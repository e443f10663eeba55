// Measures of runs, labels, and claims over all targets.
#include "experiments/report/measures.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/files.h"

namespace basin::report {

std::vector<double> performances(const std::vector<Run>& runs) {
  std::vector<double> values;
  for (const Run& run : runs) {
    if (run.usable()) values.push_back(*run.performance);
  }
  return values;
}

Pairs pair_up(const Target& target, const Measure& measure) {
  Pairs pairs;
  const std::size_t count = std::min(target.finetune.size(), target.randinit.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (!target.finetune[i].usable() || !target.randinit[i].usable()) continue;
    const std::optional<double> finetune = measure(target.finetune[i]);
    const std::optional<double> randinit = measure(target.randinit[i]);
    if (!finetune || !randinit) continue;
    pairs.finetune.push_back(*finetune);
    pairs.randinit.push_back(*randinit);
  }
  return pairs;
}

std::optional<double> final_performance(const Run& run) {
  return run.performance;
}

std::string column_name(const std::string& split, Metric metric) {
  return split + (metric == Metric::kAuc ? "_auc" : "_accuracy");
}

std::optional<double> training_speed(const Run& run) {
  const std::string column = column_name("train_eval", *run.metric);
  if (!run.metrics->has_column(column)) return std::nullopt;
  std::vector<double> values;
  for (std::size_t row = 0; row < run.metrics->row_count(); ++row) {
    if (*run.metrics->number(row, "epoch") == 0) continue;
    const std::optional<double> value = run.metrics->number(row, column);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  return mean(values);
}

MeanInterval mean_or_missing(const std::vector<double>& values) {
  if (values.empty()) return {kMissing, kMissing, kMissing, 0};
  if (values.size() == 1) return {values[0], kMissing, kMissing, 1};
  return mean_interval(values);
}

TableCell interval_cell(Metric metric, const std::vector<double>& values, std::size_t planned) {
  if (values.empty()) return {"not run", ""};
  const std::string count = count_text(values.size(), planned);
  if (values.size() < 2) {
    return {format_performance(metric, values[0]), count + ", no interval"};
  }
  const MeanInterval interval = mean_interval(values);
  return {format_performance(metric, interval.mean),
          fmt::format("{} to {}, {}", format_performance(metric, interval.lower),
                      format_performance(metric, interval.upper), count)};
}

Curve average_curve(const std::vector<Run>& runs, const std::string& split) {
  std::map<double, std::vector<double>> by_epoch;
  for (const Run& run : runs) {
    if (!run.usable()) continue;
    const std::string column = column_name(split, *run.metric);
    if (!run.metrics->has_column(column)) continue;
    for (std::size_t row = 0; row < run.metrics->row_count(); ++row) {
      const std::optional<double> value = run.metrics->number(row, column);
      if (value) by_epoch[*run.metrics->number(row, "epoch")].push_back(*value);
    }
  }
  Curve curve;
  for (const auto& [epoch, values] : by_epoch) {
    const MeanInterval interval = mean_or_missing(values);
    curve.epoch.push_back(epoch);
    curve.mean.push_back(interval.mean);
    curve.lower.push_back(interval.lower);
    curve.upper.push_back(interval.upper);
    curve.n.push_back(values.size());
  }
  return curve;
}

double shown(Metric metric, double value) {
  return metric == Metric::kAccuracy ? 100 * value : value;
}

std::vector<double> shown(Metric metric, std::vector<double> values) {
  for (double& value : values) value = shown(metric, value);
  return values;
}

std::string axis_label(const std::string& what, Metric metric) {
  return what + (metric == Metric::kAccuracy ? " accuracy (%)" : " mean AUC");
}

double ceiling(Metric metric) {
  return metric == Metric::kAccuracy ? 100 : 1;
}

int chart_decimals(Metric metric) {
  return metric == Metric::kAccuracy ? 1 : 3;
}

std::string count_text(std::size_t done, std::size_t planned) {
  return done == planned ? fmt::format("n = {}", done) : fmt::format("n = {} of {}", done, planned);
}

std::string duration(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string enumerate(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

LineChart performance_chart(Metric metric, std::string description, std::string x_label,
                            std::string y_label) {
  LineChart chart;
  chart.description = std::move(description);
  chart.x_label = std::move(x_label);
  chart.y_label = std::move(y_label);
  chart.y_floor = 0;
  chart.y_ceiling = ceiling(metric);
  chart.decimals = chart_decimals(metric);
  return chart;
}

void add_series(LineChart& chart, LineSeries series) {
  if (!series.x.empty()) chart.series.push_back(std::move(series));
}

std::string csv_cell(double value) {
  return std::isnan(value) ? std::string() : csv_number(value);
}

Link write_figure_table(Folder& folder, const std::string& name, const CsvTable& table) {
  const std::string file = "figures/" + name + ".csv";
  create_folders(folder.root() / "figures");
  table.write(folder.root() / file);
  return {name + ".csv", file};
}

Claim target_claim(const Results& results, std::string statement, std::string rule,
                   const std::function<Judgement(const Target&)>& judge,
                   const std::function<std::string(const Target&)>& paper) {
  Claim claim{std::move(statement), std::move(rule), {}};
  for (const Target& target : results.targets) {
    claim.findings.push_back({target.name, judge(target), paper_text(target.name, paper(target))});
  }
  if (claim.findings.empty()) {
    claim.findings.push_back(
        {"All targets", judged_not_run("no target in this folder"), "see below"});
  }
  return claim;
}

std::string paper_text(const std::string& target, const std::string& figure) {
  if (figure.empty()) return kNoPaperFigure;
  const PaperNumbers* numbers = paper_numbers(target);
  if (numbers == nullptr || target == numbers->name) return figure;
  return fmt::format("{} (target: {})", figure, numbers->name);
}

std::string reversed_pair(const std::string& pair) {
  const std::size_t dash = pair.find('-');
  if (dash == std::string::npos) return pair;
  return pair.substr(dash + 1) + "-" + pair.substr(0, dash);
}

}  // namespace basin::report
