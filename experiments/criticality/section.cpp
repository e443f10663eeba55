// How far can a module be moved, and how much noise does it bear? Paper, section 3.4, Figure 6.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "experiments/report/claims_sweeps.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr std::pair<const char*, const char*> kPaths[] = {{"direct", "straight path"},
                                                          {"optimization", "optimisation path"}};

struct Heat {
  std::vector<std::vector<double>> performance;  // by row (noise) and column (distance)
  std::vector<double> distance, noise;
};

struct Criticality {
  std::string csv, heat_csv;
  Metric metric = Metric::kAccuracy;
  std::vector<std::string> modules;
  std::map<std::pair<std::string, std::string>, double> values;  // by module and path
  std::map<std::pair<std::string, std::string>, Heat> heats;
  std::map<std::string, double> network;  // by path; infinite where a module's is
  std::optional<double> images;           // training images it was measured on

  std::vector<ModuleValue> by_module(const std::string& path) const {
    std::vector<ModuleValue> all;
    for (const std::string& module : modules) {
      const auto found = values.find({module, path});
      if (found != values.end()) all.push_back({module, found->second});
    }
    return all;
  }
};

void remember(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

// The place of a cell, a whole number from 0 on.
std::size_t index_of(const CsvTable& table, std::size_t row, const char* column,
                     const std::string& file) {
  constexpr double kMost = 10000;  // a damaged cell must not fill the memory
  const double value = required(table, row, column, file);
  BASIN_CHECK(value >= 0 && value < kMost && value == std::floor(value), file, ": row ", row + 1,
              " has the ", column, " ", value, "; it must be a whole number below ", kMost);
  return static_cast<std::size_t>(value);
}

void read_heats(const Folder& folder, Criticality& criticality) {
  const std::string& file = criticality.heat_csv;
  const CsvTable table = folder.table(file);
  criticality.metric = metric_of(table);
  const char* column = performance_column(criticality.metric);
  const bool error_only = !table.has_column(column);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string& module = table.text(row, "module");
    remember(criticality.modules, module);
    Heat& heat = criticality.heats[{module, table.text(row, "path")}];
    const std::size_t c = index_of(table, row, "column", file);
    const std::size_t r = index_of(table, row, "row", file);
    if (heat.distance.size() <= c) heat.distance.resize(c + 1, kMissing);
    if (heat.noise.size() <= r) heat.noise.resize(r + 1, kMissing);
    if (heat.performance.size() <= r) heat.performance.resize(r + 1);
    if (heat.performance[r].size() <= c) heat.performance[r].resize(c + 1, kMissing);
    heat.distance[c] = required(table, row, "distance", file);
    heat.noise[r] = required(table, row, "noise", file);
    heat.performance[r][c] =
        error_only ? 1 - required(table, row, "error", file) : required(table, row, column, file);
  }
  for (auto& [key, heat] : criticality.heats) {
    for (auto& values : heat.performance) values.resize(heat.distance.size(), kMissing);
  }
}

void read_values(const Folder& folder, Criticality& criticality) {
  const std::string& file = criticality.csv;
  const CsvTable table = folder.table(file);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string& module = table.text(row, "module");
    const std::string& path = table.text(row, "path");
    remember(criticality.modules, module);
    const double value =
        table.number(row, "criticality").value_or(std::numeric_limits<double>::infinity());
    criticality.values[{module, path}] = value;
    criticality.network[path] += value;
  }
}

std::optional<Criticality> find_criticality(Folder& folder, const std::string& target,
                                            const std::string& kind) {
  const std::string analysis = "criticality-" + target + "-" + kind;
  Criticality criticality;
  bool any = false;
  if (const auto file = folder.analysis_file(analysis, "criticality.csv")) {
    criticality.csv = *file;
    any = folder.attempt(*file, [&] { read_values(folder, criticality); });
  }
  if (const auto file = folder.analysis_file(analysis, "heat.csv")) {
    criticality.heat_csv = *file;
    const bool read = folder.attempt(*file, [&] { read_heats(folder, criticality); });
    if (!read) criticality.heats.clear();
    any = any || read;
  }
  if (!any) return std::nullopt;
  criticality.images = folder.result_number(analysis, "images");
  return criticality;
}

using Criticalities = std::map<std::string, Criticality>;  // by kind

std::string text_of(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "infinite";
}

bool ascends(const std::vector<double>& values) {
  return !values.empty() &&
         std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }) &&
         std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) == values.end();
}

// The four panels of the paper's figure for one module.
std::optional<Figure> map_of(const std::string& target, const std::string& module,
                             const Criticalities& both) {
  const Metric metric = both.begin()->second.metric;
  PanelMap map;
  map.description = fmt::format("Performance of {} moved and perturbed, on {}", module, target);
  map.value_label = fmt::format("{}, {}: {}", target, module, axis_label("Training", metric));
  map.x_label = "Distance from the start value";
  map.y_label = "noise level";
  map.decimals = chart_decimals(metric);
  std::vector<Link> links;
  for (const auto& [path, path_name] : kPaths) {
    for (const TrainedKind& kind : kTrainedKinds) {
      const auto found = both.find(kind.kind);
      if (found == both.end() || found->second.metric != metric) continue;
      const auto heat = found->second.heats.find({module, path});
      // A module that never moved has no map.
      if (heat == found->second.heats.end() || !ascends(heat->second.distance) ||
          !ascends(heat->second.noise) || heat->second.noise.front() < 0) {
        continue;
      }
      MapPanel panel{fmt::format("{}, {}", kind.name, path_name), heat->second.distance,
                     heat->second.noise, heat->second.performance};
      for (auto& row : panel.values) row = shown(metric, row);
      map.panels.push_back(std::move(panel));
      const Link link{kind.name, found->second.heat_csv};
      const bool known = std::any_of(links.begin(), links.end(),
                                     [&](const Link& l) { return l.text == link.text; });
      if (!known) links.push_back(link);
    }
  }
  if (map.panels.empty()) return std::nullopt;
  return Figure{panel_map(map),
                fmt::format("{}, {}: {} on training images with the module at a distance from its "
                            "start value (left end) towards its end value (right end), and with "
                            "Gaussian noise; the other modules stay at their end values. The lower "
                            "half mirrors the upper.",
                            target, module, metric_name(metric)),
                links};
}

// The scalar per module, on a logarithmic scale: it spans orders of magnitude.
Figure values_figure(const std::string& target, const Criticalities& both,
                     const std::vector<std::string>& modules) {
  LineChart chart;
  chart.description = "Criticality per module on " + target;
  chart.x_label = "Module";
  chart.y_label = target + ": log\u2081\u2080 of the criticality";
  chart.x_categories = modules;
  std::vector<Link> links;
  int style = 0;
  for (const auto& [path, path_name] : kPaths) {
    for (const TrainedKind& kind : kTrainedKinds) {
      const int here = style++;
      const auto found = both.find(kind.kind);
      if (found == both.end()) continue;
      LineSeries series{fmt::format("{}, {}", kind.name, path_name), here, {}, {}, {}, {}};
      for (std::size_t m = 0; m < modules.size(); ++m) {
        const auto value = found->second.values.find({modules[m], path});
        if (value == found->second.values.end()) continue;
        // The logarithm of 0, as an infinite value, is not finite: the line is interrupted there.
        series.x.push_back(static_cast<double>(m));
        series.y.push_back(std::log10(value->second));
      }
      add_series(chart, std::move(series));
      if (path == kPaths[0].first) links.push_back({kind.name, found->second.csv});
    }
  }
  // Long names of many modules do not fit below the axis.
  if (modules.size() > 6) {
    chart.x_categories.clear();
    chart.integer_x = true;
    chart.x_label = "Module, from the input (0) to the classifier";
  }
  return {line_chart(chart),
          target +
              ": criticality by module, from input to output. Values of 0 and infinite ones "
              "are left out; the table has them.",
          links};
}

}  // namespace

void write_criticality(Results& results, Section& section) {
  section.lead("Question",
               "How far back towards its start value can a module be moved, and how much noise "
               "does it bear there?");
  section.lead("Paper",
               "In P-T the stem bears little noise anywhere, but moving it between the pre-trained "
               "and the fine-tuned value costs nothing; in RI-T it is useless at its start value "
               "(Figure 6, conv1 on CheXpert). In P-T modules are the more critical the nearer "
               "they are to the output. No scalar values of the paper were found.");
  std::map<std::string, Criticalities> all;
  for (const Target& target : results.targets) {
    for (const TrainedKind& kind : kTrainedKinds) {
      if (auto found = find_criticality(results.folder, target.name, kind.kind)) {
        all[target.name].emplace(kind.kind, std::move(*found));
      }
    }
  }
  std::vector<std::string> images;
  for (const auto& [target, both] : all) {
    const std::optional<double> count = both.begin()->second.images;
    if (count) images.push_back(fmt::format("{} of {}", *count, target));
  }
  if (all.empty()) {
    section.not_run("Module criticality.");
  } else {
    section.lead(
        "Run here",
        fmt::format("{}; one network of each kind, loss on training images{}. The "
                    "criticality of a module is the least \u03b1\u00b2 d\u00b2 / "
                    "\u03c3\u00b2 over the settings (share \u03b1 of the way d from start "
                    "to end value, noise \u03c3) at which the loss stays within its limit.",
                    results.source_model, images.empty() ? "" : " (" + enumerate(images) + ")"));
  }
  const auto values = [&](const Target& target, const char* kind) {
    const auto found = all.find(target.name);
    if (found == all.end() || !found->second.contains(kind)) return std::vector<ModuleValue>();
    return found->second.at(kind).by_module("direct");
  };
  section.claim(target_claim(
      results, "The modules of RI-T are more critical than those of P-T", kCriticalityRule,
      [&](const Target& target) {
        return judge_criticality(values(target, "finetune"), values(target, "randinit"));
      },
      [](const Target& target) {
        const PaperNumbers* p = paper_numbers(target.name);
        return std::string(p && p->is_auc ? "conv1, as a map: AUC 0.80 all the way back in P-T, "
                                            "0.56 to 0.60 at the start value of RI-T"
                                          : "");
      }));
  section.claim(target_claim(
      results, "In P-T the criticality grows towards the output", kCriticalityDepthRule,
      [&](const Target& target) { return judge_criticality_depth(values(target, "finetune")); },
      [](const Target&) { return std::string(); }));

  std::vector<Figure> scalars;
  std::vector<std::vector<Figure>> maps;  // by target
  for (const Target& target : results.targets) {
    const auto both = all.find(target.name);
    if (both == all.end()) {
      if (!all.empty()) section.not_run("Module criticality on " + target.name + ".");
      continue;
    }
    std::vector<std::string> modules;
    bool any_value = false;
    for (const TrainedKind& kind : kTrainedKinds) {
      const auto found = both->second.find(kind.kind);
      if (found == both->second.end()) {
        section.not_run(fmt::format("Module criticality of {} on {}.", kind.name, target.name));
        continue;
      }
      for (const std::string& module : found->second.modules) remember(modules, module);
      any_value = any_value || !found->second.values.empty();
    }
    if (any_value) {
      Table table;
      table.caption = target.name + ": criticality by module and path, and of the network (sum).";
      table.header = {"Module"};
      for (const auto& [path, path_name] : kPaths) {
        for (const TrainedKind& kind : kTrainedKinds) {
          table.header.push_back(fmt::format("{}, {}", kind.name, path_name));
        }
      }
      std::vector<std::string> rows = modules;
      rows.push_back("network");
      for (const std::string& name : rows) {
        std::vector<TableCell> row = {{name, ""}};
        for (const auto& [path, path_name] : kPaths) {
          for (const TrainedKind& kind : kTrainedKinds) {
            TableCell cell{"not run", ""};
            if (const auto found = both->second.find(kind.kind); found != both->second.end()) {
              const Criticality& c = found->second;
              const auto value = c.values.find({name, path});
              const auto sum = c.network.find(path);
              if (name == "network" && sum != c.network.end()) cell.text = text_of(sum->second);
              if (value != c.values.end()) cell.text = text_of(value->second);
            }
            row.push_back(cell);
          }
        }
        table.rows.push_back(std::move(row));
      }
      section.table(table);
      scalars.push_back(values_figure(target.name, both->second, modules));
    }
    std::vector<Figure>& here = maps.emplace_back();
    for (const std::string& module : modules) {
      if (auto map = map_of(target.name, module, both->second)) here.push_back(std::move(*map));
    }
  }
  section.figures(scalars);
  for (const std::vector<Figure>& here : maps) section.figures(here);
}

}  // namespace basin::report
