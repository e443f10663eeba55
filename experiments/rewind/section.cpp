// Which modules matter? One module is set back, the others stay. Paper, section 3.4, Figure 5.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "experiments/report/measures.h"
#include "experiments/rewind/claims.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr const char* kRandom = "random";
constexpr double kRewindMargin = 0.01;

// Figure 5 of the paper, CheXpert: mean test AUC with one module rewound.
struct PaperRewinding {
  const char* module;
  double finetune, randinit_slow, randinit_fast;  // rates 0.02, 0.02, 0.1
};
constexpr PaperRewinding kFigure5[] = {
    {"none", 0.734, 0.704, 0.702},     {"conv1", 0.724, 0.507, 0.562},
    {"layer1.0", 0.729, 0.638, 0.679}, {"layer1.1", 0.733, 0.701, 0.701},
    {"layer1.2", 0.727, 0.692, 0.695}, {"layer2.0", 0.726, 0.655, 0.658},
    {"layer2.1", 0.733, 0.683, 0.699}, {"layer2.2", 0.736, 0.695, 0.702},
    {"layer2.3", 0.731, 0.696, 0.696}, {"layer3.0", 0.719, 0.641, 0.543},
    {"layer3.1", 0.732, 0.666, 0.695}, {"layer3.2", 0.729, 0.684, 0.700},
    {"layer3.3", 0.731, 0.692, 0.692}, {"layer3.4", 0.735, 0.698, 0.696},
    {"layer3.5", 0.730, 0.694, 0.693}, {"layer4.0", 0.716, 0.675, 0.609},
    {"layer4.1", 0.735, 0.681, 0.654}, {"layer4.2", 0.710, 0.636, 0.652},
    {"fc", 0.693, 0.690, 0.690},
};

struct Rewinding {
  std::string csv;
  Metric metric;
  double intact;
  std::vector<std::string> modules;  // in file order
  // Performance by what a module was set to ("0": epoch 0; "random") and by module; one value per
  // draw.
  std::map<std::string, std::map<std::string, std::vector<double>>> values;

  std::vector<ModuleValue> at_start() const {
    std::vector<ModuleValue> scores = {{"none", intact}};
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

Rewinding read_rewinding(const AnalysisTable& csv) {
  Rewinding rewinding{csv.file, metric_of(csv.table), kMissing, {}, {}};
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const std::string& module = csv.table.text(row, "module");
    const double value = csv.number(row, performance_column(rewinding.metric));
    if (module == "none") {
      rewinding.intact = value;
      continue;
    }
    // Tables without the column hold the start values only.
    const std::string to = csv.table.has_column("to") ? csv.table.text(row, "to") : "0";
    rewinding.values[to][module].push_back(value);
    remember(rewinding.modules, module);
  }
  BASIN_CHECK(!std::isnan(rewinding.intact), csv.file,
              ": no row of the module 'none', the intact network");
  return rewinding;
}

// "conv1" or "layerN.0".
bool is_stem_or_first_block(std::string_view module) {
  if (module == "conv1") return true;
  constexpr std::string_view kLayer = "layer";
  if (!module.starts_with(kLayer) || !module.ends_with(".0")) return false;
  const std::string_view stage = module.substr(kLayer.size(), module.size() - kLayer.size() - 2);
  return !stage.empty() && stage.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::optional<double> critical_drop(ModuleScores scores) {
  const std::optional<double> intact = value_of(scores, "none");
  if (!intact) return std::nullopt;
  std::vector<double> drops;
  for (const ModuleValue& score : scores) {
    if (is_stem_or_first_block(score.module)) drops.push_back(*intact - score.value);
  }
  if (drops.empty()) return std::nullopt;
  return mean(drops);
}

Judgement judge_rewinding(Metric metric, ModuleScores finetune, ModuleScores randinit) {
  const std::optional<double> finetune_drop = critical_drop(finetune);
  const std::optional<double> randinit_drop = critical_drop(randinit);
  if (!finetune_drop || !randinit_drop) return judged_not_run();
  return decide(
      *randinit_drop - *finetune_drop > kRewindMargin,
      fmt::format("mean change {} in RI-T, {} in P-T", format_difference(metric, -*randinit_drop),
                  format_difference(metric, -*finetune_drop)));
}

Judgement judge_classifier(Metric metric, ModuleScores finetune) {
  const std::optional<double> intact = value_of(finetune, "none");
  const std::optional<double> classifier = value_of(finetune, "fc");
  if (!intact || !classifier) return judged_not_run();
  const ModuleValue* worst = nullptr;
  for (const ModuleValue& score : finetune) {
    if (score.module == "none" || score.module == "fc") continue;
    if (worst == nullptr || score.value < worst->value) worst = &score;
  }
  if (worst == nullptr) return judged_not_run();
  return decide(*classifier < worst->value,
                fmt::format("fc {}; the worst other module, {}, {}",
                            format_difference(metric, *classifier - *intact), worst->module,
                            format_difference(metric, worst->value - *intact)));
}

namespace {

void add_claims(const Results& results, const Measured<Rewinding>& all, Section& section) {
  const auto scores = [&](const Target& target, const char* kind) {
    const Rewinding* found = find(all, target.name, kind);
    return found ? found->at_start() : std::vector<ModuleValue>();
  };
  const auto metric = [&](const Target& target) {
    const auto found = all.find(target.name);
    return found == all.end() ? Metric::kAccuracy : found->second.begin()->second.metric;
  };
  section.claim(target_claim(
      results, "Rewinding the stem or the first block of a stage hurts RI-T more than P-T",
      fmt::format("Reproduced if the mean drop over the stem (conv1) and the first block of each "
                  "stage, each rewound to its start value by itself, is larger in RI-T than in P-T "
                  "by more than {} ({}). These are the modules the paper finds critical in RI-T. "
                  "One network of each kind is measured.",
                  format_points(kRewindMargin), kRewindMargin),
      [&](const Target& target) {
        return judge_rewinding(metric(target), scores(target, kFinetune),
                               scores(target, kRandinit));
      },
      on_chexpert("mean change \u22120.081 to \u22120.092 in RI-T, \u22120.011 in P-T")));
  section.claim(target_claim(
      results, "In P-T the classifier is the module that matters most",
      "Reproduced if no other module of P-T costs as much when rewound as the classifier (fc), "
      "which alone starts from random values. The paper calls this natural.",
      [&](const Target& target) {
        return judge_classifier(metric(target), scores(target, kFinetune));
      },
      on_chexpert("fc \u22120.041; next layer4.2, \u22120.024")));
}

Figure bars_of(const std::string& target, const std::map<std::string, Rewinding>& both) {
  const Metric metric = both.begin()->second.metric;
  BarChart chart;
  chart.description = "Performance after rewinding each module on " + target;
  chart.value_label = target + ": " + axis_label("Test", metric) + " after rewinding";
  chart.ceiling = ceiling(metric);
  chart.decimals = chart_decimals(metric);
  std::vector<Link> data;
  for (const auto& [kind, rewinding] : both) {
    for (const ModuleValue& score : rewinding.at_start()) remember(chart.categories, score.module);
  }
  for (const Kind& kind : kTrainedKinds) {
    const auto found = both.find(kind.kind);
    if (found == both.end() || found->second.metric != metric) continue;
    BarSeries& series = chart.series.emplace_back(BarSeries{kind.name, kind.style});
    series.reference = shown(metric, found->second.intact);
    const std::vector<ModuleValue> scores = found->second.at_start();
    for (const std::string& module : chart.categories) {
      series.values.push_back(shown(metric, value_of(scores, module).value_or(kMissing)));
    }
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
std::optional<Figure> map_of(const std::string& target, const Kind& kind,
                             const Rewinding& rewinding) {
  if (rewinding.values.size() < 2) return std::nullopt;
  const std::vector<std::string> settings = settings_of(rewinding);
  std::vector<std::string> names;
  std::vector<Kind> columns;
  for (const std::string& to : settings) names.push_back(to == kRandom ? to : "epoch " + to);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    columns.push_back({settings[i].c_str(), names[i].c_str(), 0});
  }
  std::size_t draws = 0;
  HeatMap map =
      module_map(fmt::format("Performance of {} on {} by module and epoch", kind.name, target),
                 fmt::format("{}, {}: {}", target, kind.name, axis_label("Test", rewinding.metric)),
                 rewinding.modules, columns, [&](const std::string& module, const Kind& to) {
                   const auto& by_module = rewinding.values.at(to.kind);
                   const auto found = by_module.find(module);
                   if (found == by_module.end()) return kMissing;
                   if (to.kind == std::string_view(kRandom))
                     draws = std::max(draws, found->second.size());
                   return shown(rewinding.metric, mean(found->second));
                 });
  map.decimals = chart_decimals(rewinding.metric);
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
  const bool shown_there = std::any_of(results.targets.begin(), results.targets.end(),
                                       [](const Target& t) { return is_chexpert(t.name); });
  if (!shown_there) return;
  Table table{
      "The paper\u2019s Figure 5, CheXpert, mean test AUC with one module rewound, read off the "
      "plot.",
      {"Module", "P-T (0.02)", "RI-T (0.02)", "RI-T (0.1)"}};
  for (const PaperRewinding& row : kFigure5) {
    table.rows.push_back({row.module, fmt::format("{:.3f}", row.finetune),
                          fmt::format("{:.3f}", row.randinit_slow),
                          fmt::format("{:.3f}", row.randinit_fast)});
  }
  section.table(table);
}

}  // namespace

void write_rewind(Results& results, Section& section) {
  section.lead("Question", "Which modules carry what training on the target has changed?");
  section.lead(
      "Paper",
      "In RI-T the stem and the first block of each stage are critical. In P-T rewinding "
      "hardly matters, except for fc, which begins at random values (Figure 5, CheXpert).");
  const auto all =
      read_analyses<Rewinding>(results, "rewind", "rewind.csv", kTrainedKinds, read_rewinding);
  if (all.empty()) {
    section.not_run("Rewinding.");
  } else {
    section.lead("Run here", results.source_model +
                                 "; one final network of each kind, test set. A start value is the "
                                 "pre-trained one in P-T (for fc the fresh random one), the random "
                                 "initial one in RI-T.");
  }
  add_claims(results, all, section);
  for_each_target(results, section, all, "Rewinding", [&](const Target& target, const auto& both) {
    std::vector<Figure> figures = {bars_of(target.name, both)};
    for (const Kind& kind : kTrainedKinds) {
      const Rewinding* found = find(all, target.name, kind.kind);
      if (found == nullptr) {
        section.not_run(fmt::format("Rewinding of {} on {}.", kind.name, target.name));
      } else if (const auto map = map_of(target.name, kind, *found)) {
        figures.push_back(*map);
      }
    }
    section.figures(figures);
  });
  add_paper_rewinding(results, section);
}

}  // namespace basin::report
