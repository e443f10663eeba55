// Learning curves: does transfer help, and how fast? Paper, section 3.1, Figure 2.
#include <fmt/format.h>

#include <tuple>

#include "experiments/curves/claims.h"
#include "experiments/program/session.h"
#include "experiments/report/measures.h"

namespace basin::report {
namespace {

constexpr std::size_t kFewestPairs = 2;  // of runs

// Performance as fractions of 1, at the better rate of each kind. In the paper's order of visual
// distance from the source; the last two are both far.
struct PaperCurves {
  const char* target;
  double finetune, randinit;              // Figure 2, final test performance
  double finetune_speed, randinit_speed;  // Figure 3 right, block 224; 0: not given
  const char* rates;                      // Figure 2, final test performance by learning rate
};
constexpr PaperCurves kPaperCurves[] = {
    {"real", 0.784, 0.615, 0.951, 0.859,
     "P-T 78.4 % (0.02), 76 % (0.1); RI-T 49 % (0.02), 61.5 % (0.1)"},
    {"clipart", 0.74, 0.58, 0.943, 0.837,
     "P-T 74 % (0.02), 72.7 % (0.1); RI-T 38.5 % (0.02), 58 % (0.1)"},
    {"quickdraw", 0.67, 0.64, 0.937, 0.879,
     "P-T 67 % (0.02), 54 % (0.1); RI-T 56.5 % (0.02), 64 % (0.1)"},
    {"CheXpert", 0.735, 0.704, 0, 0,
     "final 0.735 for P-T (0.02), 0.704 (0.02) and 0.702 (0.1) for RI-T; best 0.788 (epoch 4), "
     "0.770 (175) and 0.770 (68)"}};

Metric paper_metric(const PaperCurves& paper) {
  return paper.target == std::string_view("CheXpert") ? Metric::kAuc : Metric::kAccuracy;
}

std::string performance_pair(const PaperCurves& paper, double finetune, double randinit,
                             const char* separator) {
  return format_performance(paper_metric(paper), finetune) + separator +
         format_performance(paper_metric(paper), randinit);
}

std::vector<double> gains(const Target& target) {
  const Pairs pairs = pair_up(target, final_performance);
  std::vector<double> differences;
  for (std::size_t i = 0; i < pairs.finetune.size(); ++i) {
    differences.push_back(pairs.finetune[i] - pairs.randinit[i]);
  }
  return differences;
}

}  // namespace

Judgement judge_transfer_helps(Metric metric, std::span<const double> finetune,
                               std::span<const double> randinit) {
  if (finetune.empty()) return judged_not_run();
  if (finetune.size() < kFewestPairs) {
    return {Verdict::kNotEnough,
            fmt::format("{} from one pair of runs (n = 1): no interval, at least {} are needed",
                        format_difference(metric, mean(finetune) - mean(randinit)), kFewestPairs)};
  }
  const MeanInterval difference = paired_difference(finetune, randinit).difference;
  return decide(difference.lower > 0, format_mean(metric, difference));
}

Judgement judge_larger_gain(Metric metric, std::span<const double> near,
                            std::span<const double> far) {
  if (near.empty() || far.empty()) return judged_not_run();
  const std::string gains = fmt::format("gains {} and {}", format_difference(metric, mean(near)),
                                        format_difference(metric, mean(far)));
  if (near.size() < kFewestPairs || far.size() < kFewestPairs) {
    return {Verdict::kNotEnough,
            fmt::format("{} (n = 1): no interval, at least {} are needed", gains, kFewestPairs)};
  }
  const MeanInterval difference = welch_difference(near, far);
  return decide(difference.lower, difference.upper, 0,
                fmt::format("{}: difference {} (95 % CI {}, n = {} and {})", gains,
                            format_difference(metric, difference.mean),
                            format_interval(metric, difference.lower, difference.upper),
                            near.size(), far.size()));
}

namespace {

Claim larger_gain_claim(const Results& results) {
  Claim claim{
      "The gain is larger on targets nearer to the source (real, then clipart, then quickdraw)",
      fmt::format(
          "The gain of a run is its final test performance P-T minus RI-T. Reproduced if the lower "
          "end of the 95 % confidence interval of (mean gain on the nearer target minus mean gain "
          "on the farther one) lies above 0; not reproduced if the upper end lies below 0; else "
          "not enough data (Welch\u2019s t, for the runs of two targets are independent). Only "
          "targets of one metric can be compared. At least {} pairs of runs on each are needed.",
          kFewestPairs),
      {}};
  for (const Target& near : results.targets) {
    for (const Target& far : results.targets) {
      const PaperCurves* a = paper_row(kPaperCurves, near.name);
      const PaperCurves* b = paper_row(kPaperCurves, far.name);
      if (!a || !b || a >= b || paper_metric(*a) != paper_metric(*b)) continue;
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
  const auto claim = [&](const char* statement, const std::string& definition,
                         const Measure& measure, const PaperFigure& paper) {
    section.claim(target_claim(
        results, statement,
        definition +
            fmt::format("Reproduced if the lower end of the 95 % confidence interval of the mean "
                        "difference (P-T minus RI-T, runs paired by number, Student\u2019s t) lies "
                        "above 0. At least {} pairs of runs are needed.",
                        kFewestPairs),
        [&](const Target& target) {
          const Pairs pairs = pair_up(target, measure);
          return judge_transfer_helps(metric_of(target), pairs.finetune, pairs.randinit);
        },
        paper));
  };
  claim("P-T beats RI-T: transfer raises final test performance", "", final_performance,
        [](const Target& target) {
          const PaperCurves* p = paper_row(kPaperCurves, target.name);
          return p ? performance_pair(*p, p->finetune, p->randinit, " against ") : "";
        });
  claim("P-T learns faster than RI-T",
        "Speed is the mean over all epochs of the training performance in evaluation mode. ",
        training_speed, [](const Target& target) {
          const PaperCurves* p = paper_row(kPaperCurves, target.name);
          if (!p || p->finetune_speed == 0) return std::string();
          return performance_pair(*p, p->finetune_speed, p->randinit_speed, " against ") +
                 ", no augmentation";
        });
  section.claim(larger_gain_claim(results));
}

// The two kinds of runs of a target.
const std::vector<Run>& runs_of(const Target& target, const Kind& kind) {
  return kind.style == kFinetuneStyle ? target.finetune : target.randinit;
}

std::optional<Figure> curves_figure(Folder& folder, const Target& target, const char* split,
                                    const std::string& what, const std::string& caption) {
  const Metric metric = metric_of(target);
  LineChart chart =
      performance_chart(metric, what + " performance on " + target.name + " over training", "Epoch",
                        fmt::format("{}: {}", target.name, axis_label(what, metric)));
  chart.integer_x = true;
  CsvTable csv({"kind", "epoch", "mean", "lower", "upper", "n"});
  for (const Kind& kind : kTrainedKinds) {
    const std::vector<Run>& runs = runs_of(target, kind);
    const Curve curve = average_curve(runs, split);
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      add_row(csv, {kind.kind, csv_number(curve.x[i])}, curve.values[i]);
    }
    const std::string count = count_text(performances(runs).size(), runs.size());
    add_series(chart,
               curve_series(fmt::format("{} ({})", kind.name, count), kind.style, metric, curve));
  }
  if (chart.series.empty()) return std::nullopt;
  return Figure{
      line_chart(chart),
      caption,
      {write_figure_table(folder, fmt::format("learning-{}-{}", target.name, split), csv)}};
}

TableCell difference_cell(Metric metric, const Pairs& pairs) {
  if (pairs.finetune.empty()) return "not run";
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
  Table table{
      "Final test performance: mean over runs with its 95 % confidence interval, and the paired "
      "difference. Paper: Figure 2, read off the plot.",
      {"Target", "P-T", "RI-T", "P-T \u2212 RI-T", "Paper: P-T / RI-T"}};
  bool few_runs = false;
  for (const Target& target : results.targets) {
    TableRow& row = table.rows.emplace_back(TableRow{
        {target.name, fmt::format("{} images, {} epochs", target.train_size, target.epochs)}});
    for (const Kind& kind : kTrainedKinds) {
      const std::vector<Run>& runs = runs_of(target, kind);
      row.push_back(interval_cell(metric_of(target), performances(runs), runs.size()));
    }
    const Pairs pairs = pair_up(target, final_performance);
    few_runs = few_runs || pairs.finetune.size() == 2;
    row.push_back(difference_cell(metric_of(target), pairs));
    const PaperCurves* paper = paper_row(kPaperCurves, target.name);
    row.push_back(paper
                      ? TableCell(performance_pair(*paper, paper->finetune, paper->randinit, " / "),
                                  paper->target)
                      : kNoPaperFigure);
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
  Table table{
      "Best checkpoint of multi-label targets: mean over runs with its 95 % confidence interval, "
      "and the mean epoch. The paper takes the best by test AUC.",
      {"Target", "P-T, best", "P-T, final", "RI-T, best", "RI-T, final", "Paper"}};
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    if (metric != Metric::kAuc) continue;
    TableRow& row = table.rows.emplace_back(TableRow{target.name});
    for (const Kind& kind : kTrainedKinds) {
      const std::vector<Run>& runs = runs_of(target, kind);
      std::vector<double> best, epochs;
      for (const Run& run : runs) {
        if (!run.usable() || !run.best_performance || !run.best_epoch) continue;
        best.push_back(*run.best_performance);
        epochs.push_back(*run.best_epoch);
      }
      TableCell& cell = row.emplace_back(interval_cell(metric, best, runs.size()));
      if (!epochs.empty()) cell.note += fmt::format(", epoch {:.0f}", mean(epochs));
      row.push_back(interval_cell(metric, performances(runs), runs.size()));
    }
    const PaperCurves* paper = paper_row(kPaperCurves, target.name);
    row.push_back(paper ? TableCell(paper->rates, paper->target) : kNoPaperFigure);
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
  const bool several =
      std::any_of(rates.begin(), rates.end(), [](const auto& r) { return r.second.size() > 1; });
  if (!several) return;
  Table table{
      "Final test performance by learning rate: mean over runs with its 95 % confidence interval. "
      "Paper: Figure 2.",
      {"Target and start", "Rate", "Final", "Paper, all rates"}};
  for (const auto& [key, runs] : groups) {
    const auto& [target, is_randinit, rate] = key;
    Metric metric = Metric::kAccuracy;
    for (const Run& run : runs) {
      if (run.usable()) metric = *run.metric;
    }
    const PaperCurves* paper = paper_row(kPaperCurves, target);
    table.rows.push_back({fmt::format("{}, {}", target, kTrainedKinds[is_randinit ? 1 : 0].name),
                          fmt::format("{:g}", rate),
                          interval_cell(metric, performances(runs), runs.size()),
                          paper ? paper->rates : kNoPaperFigure});
  }
  section.table(table);
}

std::vector<Figure> final_figures(Results& results) {
  CsvTable table({"target", "kind", "mean", "lower", "upper", "n"});
  std::map<Metric, BarChart> charts;
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    if (performances(target.finetune).empty() && performances(target.randinit).empty()) continue;
    BarChart& chart = charts[metric];
    chart.categories.push_back(target.name);
    chart.series.resize(std::size(kTrainedKinds));
    for (const Kind& kind : kTrainedKinds) {
      const MeanInterval interval = mean_or_missing(performances(runs_of(target, kind)));
      BarSeries& series = chart.series[static_cast<std::size_t>(&kind - kTrainedKinds)];
      series.name = kind.name;
      series.style = kind.style;
      series.values.push_back(shown(metric, interval.mean));
      series.lower.push_back(shown(metric, interval.lower));
      series.upper.push_back(shown(metric, interval.upper));
      add_row(table, {target.name, kind.kind}, interval);
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
                           enumerate(targets), done, planned, duration_text(seconds), rates));
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
