// How far can a module be moved, and how much noise does it bear? Paper, section 3.4, Figure 6.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "experiments/criticality/claims.h"
#include "experiments/report/measures.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr std::pair<const char*, const char*> kPaths[] = {{"direct", "straight path"},
                                                          {"optimization", "optimisation path"}};
constexpr std::size_t kFewestCompared = 5;  // no fewer wins have a p up to kSignificance

struct Heat {
  std::vector<std::vector<double>> performance;  // by row (noise) and column (distance)
  std::vector<double> distance, noise;
};

using ModuleAndPath = std::pair<std::string, std::string>;

struct Heats {
  std::string csv;
  Metric metric = Metric::kAccuracy;
  std::vector<std::string> modules;
  std::map<ModuleAndPath, Heat> heats;
};

struct Criticality {
  std::string csv;
  std::vector<std::string> modules;
  std::map<ModuleAndPath, double> values;
  std::map<std::string, double> network;  // by path; infinite where a module's is
  Heats maps;

  std::vector<ModuleValue> by_module(const std::string& path) const {
    std::vector<ModuleValue> all;
    for (const std::string& module : modules) {
      const auto found = values.find({module, path});
      if (found != values.end()) all.push_back({module, found->second});
    }
    return all;
  }
};

Criticality read_values(const AnalysisTable& csv) {
  Criticality criticality;
  criticality.csv = csv.file;
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const std::string& module = csv.table.text(row, "module");
    const std::string& path = csv.table.text(row, "path");
    remember(criticality.modules, module);
    const double value =
        csv.table.number(row, "criticality").value_or(std::numeric_limits<double>::infinity());
    criticality.values[{module, path}] = value;
    criticality.network[path] += value;
  }
  return criticality;
}

Heats read_heats(const AnalysisTable& csv) {
  Heats maps{csv.file, metric_of(csv.table), {}, {}};
  const char* column = performance_column(maps.metric);
  const bool error_only = !csv.table.has_column(column);
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const auto index = [&](const char* name) {
      constexpr double kMost = 10000;  // a damaged cell must not fill the memory
      const double value = csv.number(row, name);
      BASIN_CHECK(value >= 0 && value < kMost && value == std::floor(value), csv.file, ": row ",
                  row + 1, " has the ", name, " ", value, "; it must be a whole number below ",
                  kMost);
      return static_cast<std::size_t>(value);
    };
    const std::string& module = csv.table.text(row, "module");
    remember(maps.modules, module);
    Heat& heat = maps.heats[{module, csv.table.text(row, "path")}];
    const std::size_t c = index("column"), r = index("row");
    if (heat.distance.size() <= c) heat.distance.resize(c + 1, kMissing);
    if (heat.noise.size() <= r) heat.noise.resize(r + 1, kMissing);
    if (heat.performance.size() <= r) heat.performance.resize(r + 1);
    if (heat.performance[r].size() <= c) heat.performance[r].resize(c + 1, kMissing);
    heat.distance[c] = csv.number(row, "distance");
    heat.noise[r] = csv.number(row, "noise");
    heat.performance[r][c] = error_only ? 1 - csv.number(row, "error") : csv.number(row, column);
  }
  for (auto& [key, heat] : maps.heats) {
    for (auto& values : heat.performance) values.resize(heat.distance.size(), kMissing);
  }
  return maps;
}

// Either table may be missing.
Measured<Criticality> read_criticalities(Results& results) {
  auto all = read_analyses<Criticality>(results, "criticality", "criticality.csv", kTrainedKinds,
                                        read_values);
  for (auto& [target, kinds] :
       read_analyses<Heats>(results, "criticality", "heat.csv", kTrainedKinds, read_heats)) {
    for (auto& [kind, maps] : kinds) {
      Criticality& criticality = all[target][kind];
      for (const std::string& module : maps.modules) remember(criticality.modules, module);
      criticality.maps = std::move(maps);
    }
  }
  return all;
}

// The least number of wins of `trials` that is significant.
std::size_t least_wins(std::size_t trials) {
  std::size_t wins = trials;
  while (wins > 0 && sign_test(wins - 1, trials) <= kSignificance) --wins;
  return wins;
}

}  // namespace

Judgement judge_criticality(std::span<const ModuleValue> finetune,
                            std::span<const ModuleValue> randinit) {
  if (finetune.empty() || randinit.empty()) return judged_not_run();
  std::size_t wins = 0, compared = 0;
  for (const ModuleValue& first : finetune) {
    const std::optional<double> second = value_of(randinit, first.module);
    if (!second || *second == first.value) continue;
    ++compared;
    wins += *second > first.value;
  }
  const double p_value = sign_test(wins, compared);
  const std::string measured =
      fmt::format("larger in RI-T in {} of {} modules (p = {:.3f})", wins, compared, p_value);
  if (compared < kFewestCompared) {
    return {Verdict::kNotEnough, fmt::format("{}; {} are needed", measured, kFewestCompared)};
  }
  if (p_value <= kSignificance) return {Verdict::kReproduced, measured};
  return {2 * wins <= compared ? Verdict::kNotReproduced : Verdict::kNotEnough, measured};
}

namespace {

void add_claims(const Results& results, const Measured<Criticality>& all, Section& section) {
  const auto values = [&](const Target& target, const char* kind) {
    const Criticality* found = find(all, target.name, kind);
    return found ? found->by_module("direct") : std::vector<ModuleValue>();
  };
  section.claim(target_claim(
      results, "The modules of RI-T are more critical than those of P-T",
      fmt::format(
          "Compared module by module on the direct path. Reproduced if the criticality is larger "
          "in RI-T in so many modules that the sign test gives p at most {} (one-sided: {} of 5, "
          "{} of 8, {} of 18); not reproduced if it is larger in at most half of them; else not "
          "enough data. Modules with equal values are left out; at least {} must remain. An "
          "infinite criticality (no setting was admissible) is larger than any other. One network "
          "of each kind is measured.",
          kSignificance, least_wins(5), least_wins(8), least_wins(18), kFewestCompared),
      [&](const Target& target) {
        return judge_criticality(values(target, kFinetune), values(target, kRandinit));
      },
      on_chexpert("conv1, as a map: AUC 0.80 all the way back in P-T, 0.56 to 0.60 at the start "
                  "value of RI-T")));
  section.claim(target_claim(
      results, "In P-T the criticality grows towards the output",
      "Spearman\u2019s rank correlation between the depth of a module and its criticality in P-T "
      "on the direct path, without fc, which starts from random weights and so is critical in any "
      "case. " +
          depth_rule(),
      [&](const Target& target) { return judge_depth(values(target, kFinetune)); }));
}

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
                             const std::map<std::string, Criticality>& both) {
  const Metric metric = both.begin()->second.maps.metric;
  PanelMap map;
  map.description = fmt::format("Performance of {} moved and perturbed, on {}", module, target);
  map.value_label = fmt::format("{}, {}: {}", target, module, axis_label("Training", metric));
  map.x_label = "Distance from the start value";
  map.y_label = "noise level";
  map.decimals = chart_decimals(metric);
  std::vector<Link> links;
  for (const auto& [path, path_name] : kPaths) {
    for (const Kind& kind : kTrainedKinds) {
      const auto found = both.find(kind.kind);
      if (found == both.end() || found->second.maps.metric != metric) continue;
      const Heats& maps = found->second.maps;
      const auto heat = maps.heats.find({module, path});
      // A module that never moved has no map.
      if (heat == maps.heats.end() || !ascends(heat->second.distance) ||
          !ascends(heat->second.noise) || heat->second.noise.front() < 0) {
        continue;
      }
      MapPanel& panel = map.panels.emplace_back(
          MapPanel{fmt::format("{}, {}", kind.name, path_name), heat->second.distance,
                   heat->second.noise, heat->second.performance});
      for (auto& row : panel.values) row = shown(metric, row);
      const bool known = std::any_of(links.begin(), links.end(),
                                     [&](const Link& l) { return l.text == kind.name; });
      if (!known) links.push_back({kind.name, maps.csv});
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
Figure values_figure(const std::string& target, const std::map<std::string, Criticality>& both,
                     const std::vector<std::string>& modules) {
  LineChart chart;
  chart.description = "Criticality per module on " + target;
  chart.x_label = "Module";
  chart.y_label = target + ": log\u2081\u2080 of the criticality";
  chart.x_categories = modules;
  std::vector<Link> links;
  int style = 0;
  for (const auto& [path, path_name] : kPaths) {
    for (const Kind& kind : kTrainedKinds) {
      const int here = style++;
      const auto found = both.find(kind.kind);
      if (found == both.end()) continue;
      LineSeries series{fmt::format("{}, {}", kind.name, path_name), here};
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

// Every path and kind of network in columns, the network's sum in the last row.
void add_table(Section& section, const std::string& target,
               const std::map<std::string, Criticality>& both,
               const std::vector<std::string>& modules) {
  Table table{target + ": criticality by module and path, and of the network (sum).", {"Module"}};
  for (const std::string& module : modules) table.rows.push_back({module});
  table.rows.push_back({"network"});
  for (const auto& [path, path_name] : kPaths) {
    for (const Kind& kind : kTrainedKinds) {
      table.header.push_back(fmt::format("{}, {}", kind.name, path_name));
      const auto found = both.find(kind.kind);
      for (TableRow& row : table.rows) {
        TableCell& cell = row.emplace_back("not run");
        if (found == both.end()) continue;
        const Criticality& c = found->second;
        const auto value = c.values.find({row[0].text, path});
        const auto sum = c.network.find(path);
        const bool is_network = &row == &table.rows.back();
        if (is_network && sum != c.network.end()) cell.text = text_of(sum->second);
        if (!is_network && value != c.values.end()) cell.text = text_of(value->second);
      }
    }
  }
  section.table(table);
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
  const Measured<Criticality> all = read_criticalities(results);
  std::vector<std::string> images;  // training images it was measured on
  for (const auto& [target, both] : all) {
    const std::string analysis = fmt::format("criticality-{}-{}", target, both.begin()->first);
    const std::optional<double> count = results.folder.result_number(analysis, "images");
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
  add_claims(results, all, section);

  std::vector<Figure> scalars;
  std::vector<std::vector<Figure>> maps;  // by target
  for_each_target(
      results, section, all, "Module criticality", [&](const Target& target, const auto& both) {
        std::vector<std::string> modules;
        bool any_value = false;
        for (const Kind& kind : kTrainedKinds) {
          const Criticality* found = find(all, target.name, kind.kind);
          if (found == nullptr) {
            section.not_run(fmt::format("Module criticality of {} on {}.", kind.name, target.name));
            continue;
          }
          for (const std::string& module : found->modules) remember(modules, module);
          any_value = any_value || !found->values.empty();
        }
        if (any_value) {
          add_table(section, target.name, both, modules);
          scalars.push_back(values_figure(target.name, both, modules));
        }
        std::vector<Figure>& here = maps.emplace_back();
        for (const std::string& module : modules) {
          if (auto map = map_of(target.name, module, both)) here.push_back(std::move(*map));
        }
      });
  section.figures(scalars);
  for (const std::vector<Figure>& here : maps) section.figures(here);
}

}  // namespace basin::report
