// Learning curves: does transfer help, and how fast? Paper, section 3.1, Figure 2.
#include <fmt/format.h>

#include <tuple>

#include "experiments/report/claims_runs.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"

namespace basin::report {
namespace {

std::string performance_pair(const PaperNumbers& paper, double finetune, double randinit) {
  const Metric metric = paper.is_auc ? Metric::kAuc : Metric::kAccuracy;
  return fmt::format("{} against {}", format_performance(metric, finetune),
                     format_performance(metric, randinit));
}

// The targets in the paper's order of visual distance from the source: real, clipart, then
// quickdraw and CheXpert, both far.
int distance_from_source(const PaperNumbers& paper) {
  const std::string name = paper.name;
  return name == "real" ? 0 : name == "clipart" ? 1 : 2;
}

std::vector<double> gains(const Target& target) {
  const Pairs pairs = pair_up(target, final_performance);
  std::vector<double> differences;
  for (std::size_t i = 0; i < pairs.finetune.size(); ++i) {
    differences.push_back(pairs.finetune[i] - pairs.randinit[i]);
  }
  return differences;
}

Claim larger_gain_claim(const Results& results) {
  Claim claim{
      "The gain is larger on targets nearer to the source (real, then clipart, then "
      "quickdraw)",
      kLargerGainRule,
      {}};
  for (const Target& near : results.targets) {
    for (const Target& far : results.targets) {
      const PaperNumbers* a = paper_numbers(near.name);
      const PaperNumbers* b = paper_numbers(far.name);
      if (a == nullptr || b == nullptr || a->is_auc != b->is_auc ||
          distance_from_source(*a) >= distance_from_source(*b)) {
        continue;
      }
      claim.findings.push_back(
          {near.name + " and " + far.name,
           judge_larger_gain(metric_of(near), gains(near), gains(far)),
           fmt::format("{} and {}", format_difference(Metric::kAccuracy, a->finetune - a->randinit),
                       format_difference(Metric::kAccuracy, b->finetune - b->randinit))});
    }
  }
  if (claim.findings.empty()) {
    claim.findings.push_back({"Two targets", judged_not_run("no two targets of different distance"),
                              "+16.9 (real), +16.0 (clipart) and +3.0 points (quickdraw)"});
  }
  return claim;
}

void add_claims(const Results& results, Section& section) {
  const auto helps = [](const Measure& measure) {
    return [measure](const Target& target) {
      const Pairs pairs = pair_up(target, measure);
      return judge_transfer_helps(metric_of(target), pairs.finetune, pairs.randinit);
    };
  };
  section.claim(
      target_claim(results, "P-T beats RI-T: transfer raises final test performance",
                   kTransferHelpsRule, helps(final_performance), [](const Target& target) {
                     const PaperNumbers* p = paper_numbers(target.name);
                     return p ? performance_pair(*p, p->finetune, p->randinit) : std::string();
                   }));
  section.claim(target_claim(
      results, "P-T learns faster than RI-T",
      fmt::format("Speed is the mean over all epochs of the training performance in evaluation "
                  "mode. {}",
                  kTransferHelpsRule),
      helps(training_speed), [](const Target& target) {
        const PaperNumbers* p = paper_numbers(target.name);
        return p && p->finetune_speed > 0
                   ? performance_pair(*p, p->finetune_speed, p->randinit_speed) +
                         ", no augmentation"
                   : std::string();
      }));
  section.claim(larger_gain_claim(results));
}

// Writes the curves of a figure and returns the link to them.
Link write_curves_table(Folder& folder, const std::string& name, const Curve& finetune,
                        const Curve& randinit) {
  CsvTable table({"kind", "epoch", "mean", "lower", "upper", "n"});
  const auto append = [&](const char* kind, const Curve& curve) {
    for (std::size_t i = 0; i < curve.epoch.size(); ++i) {
      table.add_row({kind, csv_number(curve.epoch[i]), csv_number(curve.mean[i]),
                     csv_cell(curve.lower[i]), csv_cell(curve.upper[i]),
                     std::to_string(curve.n[i])});
    }
  };
  append("finetune", finetune);
  append("randinit", randinit);
  return write_figure_table(folder, name, table);
}

std::optional<Figure> curves_figure(Folder& folder, const Target& target, const char* split,
                                    const std::string& what, const std::string& caption) {
  const Metric metric = metric_of(target);
  const Curve finetune = average_curve(target.finetune, split);
  const Curve randinit = average_curve(target.randinit, split);
  if (finetune.epoch.empty() && randinit.epoch.empty()) return std::nullopt;
  LineChart chart =
      performance_chart(metric, what + " performance on " + target.name + " over training", "Epoch",
                        fmt::format("{}: {}", target.name, axis_label(what, metric)));
  chart.integer_x = true;
  const auto add = [&](const Curve& curve, const std::vector<Run>& runs, const char* name,
                       int style) {
    add_series(chart,
               {fmt::format("{} ({})", name, count_text(performances(runs).size(), runs.size())),
                style, curve.epoch, shown(metric, curve.mean), shown(metric, curve.lower),
                shown(metric, curve.upper)});
  };
  add(finetune, target.finetune, "P-T", kFinetuneStyle);
  add(randinit, target.randinit, "RI-T", kRandinitStyle);
  return Figure{line_chart(chart),
                caption,
                {write_curves_table(folder, fmt::format("learning-{}-{}", target.name, split),
                                    finetune, randinit)}};
}

TableCell difference_cell(Metric metric, const Pairs& pairs) {
  if (pairs.finetune.empty()) return {"not run", ""};
  if (pairs.finetune.size() == 1) {
    return {format_difference(metric, pairs.finetune[0] - pairs.randinit[0]), "n = 1, no interval"};
  }
  const PairedDifference test = paired_difference(pairs.finetune, pairs.randinit);
  const std::string p =
      test.p_value < 0.001 ? "p < 0.001" : fmt::format("p = {:.3f}", test.p_value);
  return {format_difference(metric, test.difference.mean),
          fmt::format("{}, n = {}, {}",
                      format_interval(metric, test.difference.lower, test.difference.upper),
                      test.difference.n, p)};
}

void add_finals(const Results& results, Section& section) {
  Table table;
  table.caption =
      "Final test performance: mean over runs with its 95 % confidence interval, and the paired "
      "difference. Paper: Figure 2, read off the plot.";
  table.header = {"Target", "P-T", "RI-T", "P-T \u2212 RI-T", "Paper: P-T / RI-T"};
  bool few_runs = false;
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    const std::vector<double> finetune = performances(target.finetune);
    const std::vector<double> randinit = performances(target.randinit);
    const Pairs pairs = pair_up(target, final_performance);
    few_runs = few_runs || pairs.finetune.size() == 2;
    TableCell reference{kNoPaperFigure, ""};
    if (const PaperNumbers* paper = paper_numbers(target.name)) {
      const Metric paper_metric = paper->is_auc ? Metric::kAuc : Metric::kAccuracy;
      reference = {fmt::format("{} / {}", format_performance(paper_metric, paper->finetune),
                               format_performance(paper_metric, paper->randinit)),
                   paper->name};
    }
    table.rows.push_back(
        {{target.name, fmt::format("{} images, {} epochs", target.train_size, target.epochs)},
         interval_cell(metric, finetune, target.finetune.size()),
         interval_cell(metric, randinit, target.randinit.size()),
         difference_cell(metric, pairs),
         reference});
  }
  section.table(table);
  if (few_runs) {
    section.note(
        "With two runs Student\u2019s t has one degree of freedom and its 95 % factor is 12.7: the "
        "intervals are wide because two runs say little about the spread, not because the runs "
        "disagree.");
  }
}

// Where training too long costs performance, the best epoch says more than the last.
void add_best(const Results& results, Section& section) {
  Table table;
  table.caption =
      "Best checkpoint of multi-label targets: mean over runs with its 95 % confidence interval, "
      "and the mean epoch. The paper takes the best by test AUC.";
  table.header = {"Target", "P-T, best", "P-T, final", "RI-T, best", "RI-T, final", "Paper"};
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    if (metric != Metric::kAuc) continue;
    std::vector<TableCell> row = {{target.name, ""}};
    for (const std::vector<Run>* runs : {&target.finetune, &target.randinit}) {
      std::vector<double> best, epochs;
      for (const Run& run : *runs) {
        if (!run.usable() || !run.best_performance || !run.best_epoch) continue;
        best.push_back(*run.best_performance);
        epochs.push_back(*run.best_epoch);
      }
      TableCell cell = interval_cell(metric, best, runs->size());
      if (!epochs.empty()) cell.note += fmt::format(", epoch {:.0f}", mean(epochs));
      row.push_back(cell);
      row.push_back(interval_cell(metric, performances(*runs), runs->size()));
    }
    const PaperNumbers* paper = paper_numbers(target.name);
    row.push_back({paper ? paper->rates : kNoPaperFigure, paper ? paper->name : ""});
    table.rows.push_back(std::move(row));
  }
  section.table(table);
}

// All learning rates that were tried, where there are several.
void add_rates(const Results& results, Section& section) {
  std::map<std::tuple<std::string, bool, double>, std::vector<Run>> groups;
  std::map<std::pair<std::string, bool>, std::set<double>> rates;
  for (const PlannedRun& planned : results.runs) {
    if (!planned.experiments.contains("curves") || planned.shuffle != "none" || planned.same_init ||
        !planned.learning_rate) {
      continue;
    }
    groups[{planned.target, !planned.finetune, *planned.learning_rate}].push_back(planned.run);
    rates[{planned.target, !planned.finetune}].insert(*planned.learning_rate);
  }
  Table table;
  table.caption =
      "Final test performance by learning rate: mean over runs with its 95 % confidence interval. "
      "Paper: Figure 2.";
  table.header = {"Target and start", "Rate", "Final", "Paper, all rates"};
  const bool several =
      std::any_of(rates.begin(), rates.end(), [](const auto& r) { return r.second.size() > 1; });
  if (!several) return;
  for (const auto& [key, runs] : groups) {
    const auto& [target, is_randinit, rate] = key;
    Metric metric = Metric::kAccuracy;
    for (const Run& run : runs) {
      if (run.usable()) metric = *run.metric;
    }
    const PaperNumbers* paper = paper_numbers(target);
    table.rows.push_back({{fmt::format("{}, {}", target, is_randinit ? "RI-T" : "P-T"), ""},
                          {fmt::format("{:g}", rate), ""},
                          interval_cell(metric, performances(runs), runs.size()),
                          {paper ? paper->rates : kNoPaperFigure, ""}});
  }
  section.table(table);
}

std::vector<Figure> final_figures(Results& results) {
  CsvTable table({"target", "kind", "mean", "lower", "upper", "n"});
  std::map<Metric, BarChart> charts;
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    const std::vector<double> finetune = performances(target.finetune);
    const std::vector<double> randinit = performances(target.randinit);
    if (finetune.empty() && randinit.empty()) continue;
    BarChart& chart = charts[metric];
    if (chart.series.empty()) {
      chart.series = {{"P-T", kFinetuneStyle, {}, {}, {}, {}},
                      {"RI-T", kRandinitStyle, {}, {}, {}, {}}};
    }
    chart.categories.push_back(target.name);
    for (std::size_t s = 0; s < 2; ++s) {
      const MeanInterval interval = mean_or_missing(s == 0 ? finetune : randinit);
      chart.series[s].values.push_back(shown(metric, interval.mean));
      chart.series[s].lower.push_back(shown(metric, interval.lower));
      chart.series[s].upper.push_back(shown(metric, interval.upper));
      table.add_row({target.name, s == 0 ? "finetune" : "randinit", csv_cell(interval.mean),
                     csv_cell(interval.lower), csv_cell(interval.upper),
                     std::to_string(interval.n)});
    }
  }
  std::vector<Figure> figures;
  if (charts.empty()) return figures;
  const Link link = write_figure_table(results.folder, "final", table);
  for (auto& [metric, chart] : charts) {
    chart.description = "Final test performance of P-T and RI-T by target";
    chart.value_label = axis_label("Final test", metric);
    chart.ceiling = ceiling(metric);
    chart.decimals = chart_decimals(metric);
    figures.push_back({bar_chart(chart),
                       "Final test performance by target: mean over runs; whisker: 95 % confidence "
                       "interval of the mean.",
                       {link}});
  }
  return figures;
}

}  // namespace

void write_curves(Results& results, Section& section) {
  section.lead("Question", "Does transfer help on each target, in final quality and in speed?");
  section.lead("Paper",
               "P-T ends above RI-T on every target, by most on real, then clipart, least on "
               "quickdraw and CheXpert, and is much faster everywhere.");
  std::size_t done = 0, planned = 0;
  double seconds = 0;
  std::vector<std::string> targets;
  for (const Target& target : results.targets) {
    targets.push_back(
        fmt::format("{} ({} images, {} epochs)", target.name, target.train_size, target.epochs));
    for (const std::vector<Run>* runs : {&target.finetune, &target.randinit}) {
      planned += runs->size();
      for (const Run& run : *runs) {
        done += run.usable();
        seconds += run.seconds.value_or(0);
      }
    }
  }
  if (targets.empty()) {
    section.not_run("Training on a target.");
    add_claims(results, section);
    return;
  }
  std::string rates;
  if (results.finetune_rate && results.randinit_rate) {
    rates = fmt::format(" Learning rate {:g} for P-T, {:g} for RI-T.", *results.finetune_rate,
                        *results.randinit_rate);
  }
  section.lead("Run here",
               fmt::format("{} on {}; {} of {} runs done, {} of training.{}", results.source_model,
                           enumerate(targets), done, planned, duration(seconds), rates));
  add_claims(results, section);
  std::vector<Figure> figures = final_figures(results);
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    if (performances(target.finetune).empty() && performances(target.randinit).empty()) {
      section.not_run("Training on " + target.name + ".");
    }
    const auto test = curves_figure(
        results.folder, target, "test", "Test",
        fmt::format("{}: test {} after each epoch. Line: mean over runs; band: 95 % confidence "
                    "interval of the mean.",
                    target.name, metric_name(metric)));
    const auto training = curves_figure(
        results.folder, target, "train_eval", "Training",
        fmt::format("{}: {} on the training images in evaluation mode, the measure of speed.",
                    target.name, metric_name(metric)));
    if (test) figures.push_back(*test);
    if (training) figures.push_back(*training);
  }
  add_finals(results, section);
  add_best(results, section);
  add_rates(results, section);
  section.figures(figures);
}

}  // namespace basin::report
