// Which modules matter? One module is set back, the others stay. Paper, section 3.4, Figure 5.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "experiments/report/claims_sweeps.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr const char* kRandom = "random";

struct Rewinding {
  std::string csv;
  Metric metric;
  double intact;
  std::vector<std::string> modules;  // in file order
  // Performance by what a module was set to ("0": epoch 0; "random") and by module; one value per
  // draw.
  std::map<std::string, std::map<std::string, std::vector<double>>> values;

  std::vector<ModuleScore> at_start() const {
    std::vector<ModuleScore> scores = {{"none", intact}};
    const auto start = values.find("0");
    if (start == values.end()) return scores;
    for (const std::string& module : modules) {
      if (const auto found = start->second.find(module); found != start->second.end()) {
        scores.push_back({module, mean(found->second)});
      }
    }
    return scores;
  }
};

Rewinding read_rewinding(const Folder& folder, const std::string& file) {
  const CsvTable table = folder.table(file);
  Rewinding rewinding{file, metric_of(table), kMissing, {}, {}};
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string& module = table.text(row, "module");
    const double value = required(table, row, performance_column(rewinding.metric), file);
    if (module == "none") {
      rewinding.intact = value;
      continue;
    }
    // Tables without the column hold the start values only.
    const std::string to = table.has_column("to") ? table.text(row, "to") : "0";
    rewinding.values[to][module].push_back(value);
    if (std::find(rewinding.modules.begin(), rewinding.modules.end(), module) ==
        rewinding.modules.end()) {
      rewinding.modules.push_back(module);
    }
  }
  BASIN_CHECK(!std::isnan(rewinding.intact), file,
              ": no row of the module 'none', the intact network");
  return rewinding;
}

using Rewindings = std::map<std::string, Rewinding>;  // by kind

Figure bars_of(const std::string& target, const Rewindings& both) {
  const Metric metric = both.begin()->second.metric;
  BarChart chart;
  chart.description = "Performance after rewinding each module on " + target;
  chart.value_label = target + ": " + axis_label("Test", metric) + " after rewinding";
  chart.ceiling = ceiling(metric);
  chart.decimals = chart_decimals(metric);
  std::vector<Link> data;
  for (const auto& [kind, rewinding] : both) {
    for (const ModuleScore& score : rewinding.at_start()) {
      if (std::find(chart.categories.begin(), chart.categories.end(), score.module) ==
          chart.categories.end()) {
        chart.categories.push_back(score.module);
      }
    }
  }
  for (const TrainedKind& kind : kTrainedKinds) {
    const auto found = both.find(kind.kind);
    if (found == both.end() || found->second.metric != metric) continue;
    BarSeries series{kind.name, kind.style, std::vector<double>(chart.categories.size(), kMissing),
                     {},        {},         shown(metric, found->second.intact)};
    for (const ModuleScore& score : found->second.at_start()) {
      const auto place = std::find(chart.categories.begin(), chart.categories.end(), score.module);
      series.values[static_cast<std::size_t>(place - chart.categories.begin())] =
          shown(metric, score.performance);
    }
    chart.series.push_back(std::move(series));
    data.push_back({kind.name, found->second.csv});
  }
  return {
      bar_chart(chart),
      fmt::format("{}: test {} with one module set to its start value. Dashed: nothing rewound.",
                  target, metric_name(metric)),
      data};
}

// Epochs ascending, then random values.
std::vector<std::string> settings_of(const Rewinding& rewinding) {
  std::vector<std::string> settings;
  for (const auto& [to, ignored] : rewinding.values) settings.push_back(to);
  const auto epoch = [](const std::string& to) {
    double value = std::numeric_limits<double>::infinity();
    std::from_chars(to.data(), to.data() + to.size(), value);
    return to == kRandom ? std::numeric_limits<double>::infinity() : value;
  };
  std::sort(settings.begin(), settings.end(), [&](const std::string& a, const std::string& b) {
    return std::pair(epoch(a), a) < std::pair(epoch(b), b);
  });
  return settings;
}

// Where modules were also set to other epochs or to random values.
std::optional<Figure> map_of(const std::string& target, const TrainedKind& kind,
                             const Rewinding& rewinding) {
  if (rewinding.values.size() < 2) return std::nullopt;
  HeatMap map;
  map.description = fmt::format("Performance of {} on {} by module and epoch", kind.name, target);
  map.value_label =
      fmt::format("{}, {}: {}", target, kind.name, axis_label("Test", rewinding.metric));
  map.rows = rewinding.modules;
  map.decimals = chart_decimals(rewinding.metric);
  map.values.resize(map.rows.size());
  std::size_t draws = 0;
  for (const std::string& to : settings_of(rewinding)) {
    map.columns.push_back(to == kRandom ? to : "epoch " + to);
    const auto& by_module = rewinding.values.at(to);
    for (std::size_t m = 0; m < map.rows.size(); ++m) {
      const auto found = by_module.find(map.rows[m]);
      const bool there = found != by_module.end();
      map.values[m].push_back(there ? shown(rewinding.metric, mean(found->second)) : kMissing);
      if (there && to == kRandom) draws = std::max(draws, found->second.size());
    }
  }
  std::string caption =
      fmt::format("{}, {}: test {} with one module set to its value after that epoch", target,
                  kind.name, metric_name(rewinding.metric));
  if (draws > 0) {
    caption += fmt::format(", or to fresh random values (mean of {} draws)", draws);
  }
  caption += fmt::format("; {} with nothing changed.",
                         format_performance(rewinding.metric, rewinding.intact));
  return Figure{heat_map(map), caption, {{"rewind.csv", rewinding.csv}}};
}

void add_paper_rewinding(const Results& results, Section& section) {
  for (const Target& target : results.targets) {
    if (paper_rewinding(target.name).empty()) continue;
    Table table;
    table.caption =
        "The paper\u2019s Figure 5, CheXpert, mean test AUC with one module rewound, read off the "
        "plot.";
    table.header = {"Module", "P-T (0.02)", "RI-T (0.02)", "RI-T (0.1)"};
    for (const PaperRewinding& row : paper_rewinding(target.name)) {
      table.rows.push_back({{row.module, ""},
                            {fmt::format("{:.3f}", row.finetune), ""},
                            {fmt::format("{:.3f}", row.randinit_slow), ""},
                            {fmt::format("{:.3f}", row.randinit_fast), ""}});
    }
    section.table(table);
    return;
  }
}

}  // namespace

void write_rewind(Results& results, Section& section) {
  section.lead("Question", "Which modules carry what training on the target has changed?");
  section.lead(
      "Paper",
      "In RI-T the stem and the first block of each stage are critical. In P-T rewinding "
      "hardly matters, except for fc, which begins at random values (Figure 5, CheXpert).");
  std::map<std::string, Rewindings> all;
  for (const Target& target : results.targets) {
    for (const TrainedKind& kind : kTrainedKinds) {
      const auto file = results.folder.analysis_file(
          fmt::format("rewind-{}-{}", target.name, kind.kind), "rewind.csv");
      if (!file) continue;
      results.folder.attempt(*file, [&] {
        all[target.name].emplace(kind.kind, read_rewinding(results.folder, *file));
      });
    }
  }
  if (all.empty()) {
    section.not_run("Rewinding.");
  } else {
    section.lead("Run here",
                 fmt::format("{}; one final network of each kind, test set. A start value is the "
                             "pre-trained one in P-T (for fc the fresh random one), the random "
                             "initial one in RI-T.",
                             results.source_model));
  }
  const auto scores = [&](const Target& target, const char* kind) {
    const auto found = all.find(target.name);
    if (found == all.end() || !found->second.contains(kind)) return std::vector<ModuleScore>();
    return found->second.at(kind).at_start();
  };
  const auto metric = [&](const Target& target) {
    const auto found = all.find(target.name);
    return found == all.end() ? Metric::kAccuracy : found->second.begin()->second.metric;
  };
  const auto on_chexpert = [](const char* text) {
    return [text](const Target& target) {
      const PaperNumbers* p = paper_numbers(target.name);
      return std::string(p && p->is_auc ? text : "");
    };
  };
  section.claim(target_claim(
      results, "Rewinding the stem or the first block of a stage hurts RI-T more than P-T",
      kRewindingRule,
      [&](const Target& target) {
        return judge_rewinding(metric(target), scores(target, "finetune"),
                               scores(target, "randinit"));
      },
      on_chexpert("mean change \u22120.081 to \u22120.092 in RI-T, \u22120.011 in P-T")));
  section.claim(target_claim(
      results, "In P-T the classifier is the module that matters most", kClassifierRule,
      [&](const Target& target) {
        return judge_classifier(metric(target), scores(target, "finetune"));
      },
      on_chexpert("fc \u22120.041; next layer4.2, \u22120.024")));
  for (const Target& target : results.targets) {
    const auto both = all.find(target.name);
    if (both == all.end()) {
      if (!all.empty()) section.not_run("Rewinding on " + target.name + ".");
      continue;
    }
    std::vector<Figure> figures = {bars_of(target.name, both->second)};
    for (const TrainedKind& kind : kTrainedKinds) {
      const auto found = both->second.find(kind.kind);
      if (found == both->second.end()) {
        section.not_run(fmt::format("Rewinding of {} on {}.", kind.name, target.name));
        continue;
      }
      if (const auto map = map_of(target.name, kind, found->second)) figures.push_back(*map);
    }
    section.figures(figures);
  }
  add_paper_rewinding(results, section);
}

}  // namespace basin::report
