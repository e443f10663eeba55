// Analyses by target and kind, measures of runs, charts, and claims over all targets.
#include "experiments/report/measures.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/files.h"

namespace basin::report {

std::optional<AnalysisTable> open_analysis(Results& results, const std::string& name,
                                           const std::string& target, const std::string& kind,
                                           const char* file) {
  const std::size_t dash = kind.find('-');
  const bool is_pair = dash != std::string::npos;
  for (const bool reversed : {false, true}) {
    if (reversed && !is_pair) continue;
    std::string analysis = name + "-" + target;
    if (reversed) {
      analysis += "-" + kind.substr(dash + 1) + "-" + kind.substr(0, dash);
    } else if (!kind.empty()) {
      analysis += "-" + kind;
    }
    const auto path = results.folder.analysis_file(analysis, file);
    if (!path) continue;
    std::optional<AnalysisTable> found;
    results.folder.attempt(*path, [&] {
      found = AnalysisTable{analysis, *path, reversed, results.folder.table(*path)};
    });
    if (found) return found;
  }
  return std::nullopt;
}

void remember(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

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

void RunGroup::add(const PlannedRun& run) {
  ++planned;
  if (run.run.usable()) runs[{run.seed, run.shuffle_seed}] = &run.run;
}

std::vector<double> RunGroup::values(const Measure& measure) const {
  std::vector<double> all;
  for (const auto& [seed, run] : runs) {
    if (const auto value = measure(*run)) all.push_back(*value);
  }
  return all;
}

std::map<std::int64_t, double> RunGroup::by_seed(const Measure& measure) const {
  std::map<std::int64_t, std::vector<double>> all;
  for (const auto& [seeds, run] : runs) {
    if (const auto value = measure(*run)) all[seeds.first].push_back(*value);
  }
  std::map<std::int64_t, double> means;
  for (const auto& [seed, values] : all) means[seed] = mean(values);
  return means;
}

std::optional<double> best_rate(const std::vector<const PlannedRun*>& runs) {
  std::map<double, std::vector<double>> by_rate;
  for (const PlannedRun* run : runs) {
    if (run->run.usable() && run->learning_rate) {
      by_rate[*run->learning_rate].push_back(*run->run.performance);
    }
  }
  std::optional<double> best;
  for (const auto& [rate, values] : by_rate) {
    if (!best || mean(values) > mean(by_rate[*best])) best = rate;
  }
  return best;
}

bool has_rate(const PlannedRun& run, std::optional<double> rate) {
  return !rate || !run.learning_rate || *run.learning_rate == *rate;
}

std::vector<std::vector<double>> complete_seeds(
    const std::vector<std::map<std::int64_t, double>>& settings) {
  std::vector<std::vector<double>> complete;
  if (settings.empty()) return complete;
  for (const auto& [seed, ignored] : settings[0]) {
    std::vector<double> values;
    for (const auto& setting : settings) {
      if (const auto found = setting.find(seed); found != setting.end()) {
        values.push_back(found->second);
      }
    }
    if (values.size() == settings.size()) complete.push_back(std::move(values));
  }
  return complete;
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
  if (values.empty()) return "not run";
  const std::string count = count_text(values.size(), planned);
  if (values.size() < 2) {
    return {format_performance(metric, values[0]), count + ", no interval"};
  }
  const MeanInterval interval = mean_interval(values);
  return {format_performance(metric, interval.mean),
          fmt::format("{} to {}, {}", format_performance(metric, interval.lower),
                      format_performance(metric, interval.upper), count)};
}

void add_row(CsvTable& table, std::vector<std::string> cells, const MeanInterval& interval) {
  for (const double value : {interval.mean, interval.lower, interval.upper}) {
    cells.push_back(std::isnan(value) ? std::string() : csv_number(value));
  }
  cells.push_back(std::to_string(interval.n));
  table.add_row(cells);
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
  for (const auto& [epoch, values] : by_epoch) curve.add(epoch, values);
  return curve;
}

LineSeries run_series(const Run& run, const std::string& column, const std::string& name, int style,
                      double factor) {
  LineSeries series{name, style};
  if (!run.metrics->has_column(column)) return series;
  for (std::size_t row = 0; row < run.metrics->row_count(); ++row) {
    const std::optional<double> value = run.metrics->number(row, column);
    if (!value) continue;
    series.x.push_back(*run.metrics->number(row, "epoch"));
    series.y.push_back(factor * *value);
  }
  return series;
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
  LineChart chart = loss_chart(std::move(description), std::move(x_label), std::move(y_label));
  chart.y_ceiling = ceiling(metric);
  chart.decimals = chart_decimals(metric);
  return chart;
}

LineChart loss_chart(std::string description, std::string x_label, std::string y_label) {
  LineChart chart;
  chart.description = std::move(description);
  chart.x_label = std::move(x_label);
  chart.y_label = std::move(y_label);
  chart.y_floor = 0;
  chart.decimals = 3;
  return chart;
}

LineSeries curve_series(std::string name, int style, Metric metric, const Curve& curve) {
  LineSeries series{std::move(name), style, curve.x};
  for (const MeanInterval& interval : curve.values) {
    series.y.push_back(shown(metric, interval.mean));
    series.lower.push_back(shown(metric, interval.lower));
    series.upper.push_back(shown(metric, interval.upper));
  }
  return series;
}

void add_series(LineChart& chart, LineSeries series) {
  if (!series.x.empty()) chart.series.push_back(std::move(series));
}

HeatMap module_map(std::string description, std::string value_label,
                   const std::vector<std::string>& modules, std::span<const Kind> kinds,
                   const std::function<double(const std::string&, const Kind&)>& value) {
  HeatMap map{std::move(description), std::move(value_label), {}, modules, {}};
  for (const Kind& kind : kinds) map.columns.emplace_back(kind.name);
  for (const std::string& module : modules) {
    std::vector<double>& row = map.values.emplace_back();
    for (const Kind& kind : kinds) row.push_back(value(module, kind));
  }
  return map;
}

Link write_figure_table(Folder& folder, const std::string& name, const CsvTable& table) {
  const std::string file = "figures/" + name + ".csv";
  create_folders(folder.root() / "figures");
  table.write(folder.root() / file);
  return {name + ".csv", file};
}

PaperFigure on_chexpert(std::string text) {
  return [text](const Target& target) { return is_chexpert(target.name) ? text : std::string(); };
}

Claim target_claim(const Results& results, std::string statement, std::string rule,
                   const std::function<Judgement(const Target&)>& judge, const PaperFigure& paper,
                   const ClaimScope& scope) {
  Claim claim{std::move(statement), std::move(rule), {}};
  for (const Target& target : results.targets) {
    if (!scope.includes(target)) continue;
    std::string figure = paper ? paper(target) : "";
    const PaperTarget* name = paper_target(target.name);
    if (figure.empty()) {
      figure = kNoPaperFigure;
    } else if (name != nullptr && target.name != name->name) {
      figure += fmt::format(" (target: {})", name->name);
    }
    claim.findings.push_back({target.name, judge(target), figure});
  }
  if (claim.findings.empty()) {
    claim.findings.push_back({"All targets", judged_not_run(scope.measured), scope.paper});
  }
  return claim;
}

}  // namespace basin::report
