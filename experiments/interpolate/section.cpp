// Performance on the line between two networks. Paper, section 3.3, Figures 4 and 16.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/report/claims_sweeps.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

struct LineKind {
  const char* kind;
  const char* name;
  int style;
};
constexpr LineKind kMain[] = {{"finetune-finetune", "P-T to P-T", kFinetuneStyle},
                              {"randinit-randinit", "RI-T to RI-T", kRandinitStyle},
                              {"randinit-finetune", "RI-T to P-T", kMixedStyle},
                              {"same_init", "RI-T to RI-T, same start", kFourthStyle}};
// Where training on overtrains: * is the best checkpoint, the others are the last ones.
constexpr LineKind kBest[] = {{"finetune_best-finetune_best", "P-T* to P-T*", 0},
                              {"finetune_best-finetune", "P-T* to P-T, one run", 4},
                              {"randinit_best-randinit_best", "RI-T* to RI-T*", 1},
                              {"randinit_best-randinit", "RI-T* to RI-T, one run", 5},
                              {"finetune_best-randinit_best", "P-T* to RI-T*", 2}};
constexpr std::string_view kAcross = "across-";

struct Interpolation {
  std::string csv;
  Metric metric;
  std::vector<double> lambda, performance, loss;
  double performance_barrier, loss_barrier;
  std::optional<std::int64_t> images;  // it was evaluated on, where the analysis tells
};
using Lines = std::map<std::string, Interpolation>;  // by kind

// Takes what result.json adds to the curve. The program writes the barriers it found there, too,
// but the report computes its own: they disagree only if a file was changed or a rule was, and the
// reader must know.
void read_result(const Folder& folder, const std::string& file, Interpolation& line) {
  const auto result = folder.numbers(file);
  if (const auto images = result.find("images");
      images != result.end() && images->second >= 1 && images->second < 1e15) {
    line.images = static_cast<std::int64_t>(images->second);
  }
  const auto compare = [&](const char* key, double computed) {
    const auto written = result.find(key);
    BASIN_CHECK(written == result.end() || !std::isfinite(computed) ||
                    std::abs(written->second - computed) <= 1e-4,
                file, ": ", key, " is ", written->second, ", but the curve in ", line.csv,
                " gives ", computed, "; the report shows the latter");
  };
  compare("barrier_accuracy", line.performance_barrier);
  compare("barrier_loss", line.loss_barrier);
}

Interpolation read_line(const Folder& folder, const std::string& file) {
  Interpolation line;
  line.csv = file;
  const CsvTable table = folder.table(file);
  line.metric = metric_of(table);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    line.lambda.push_back(required(table, row, "lambda", file));
    line.performance.push_back(required(table, row, performance_column(line.metric), file));
    line.loss.push_back(required(table, row, "loss", file));
  }
  line.performance_barrier = barrier_height(line.lambda, line.performance, true);
  line.loss_barrier = barrier_height(line.lambda, line.loss, false);
  return line;
}

Lines find_lines(Folder& folder, const std::string& target) {
  Lines lines;
  const std::string prefix = "interpolate-" + target + "-";
  for (const std::string& analysis : folder.finished_analyses()) {
    if (!analysis.starts_with(prefix)) continue;
    const auto file = folder.analysis_file(analysis, "interpolation.csv");
    if (!file) continue;
    const std::string kind = analysis.substr(prefix.size());
    folder.attempt(*file, [&] { lines.emplace(kind, read_line(folder, *file)); });
    const std::string result = "analyses/" + analysis + "/result.json";
    if (lines.contains(kind) && folder.exists(result)) {
      folder.attempt(result, [&] { read_result(folder, result, lines.at(kind)); });
    }
  }
  return lines;
}

// Both ends are one network: they measure the same, and in between the loss differs by rounding
// only.
bool is_one_network(const Interpolation& line) {
  const auto [least, most] = std::minmax_element(line.loss.begin(), line.loss.end());
  return line.loss.front() == line.loss.back() &&
         line.performance.front() == line.performance.back() &&
         *most - *least <= 1e-6 * std::abs(*most);
}

struct Charts {
  LineChart performance, loss;
  std::vector<Link> data;
};

Charts make_charts(const std::string& target, Metric metric) {
  Charts charts;
  charts.performance = performance_chart(
      metric, "Test performance between two networks on " + target, "Interpolation \u03bb",
      fmt::format("{}: {}", target, axis_label("Test", metric)));
  charts.loss.description = "Test loss between two networks on " + target;
  charts.loss.x_label = "Interpolation \u03bb";
  charts.loss.y_label = target + ": Test loss (nats)";
  charts.loss.y_floor = 0;
  charts.loss.decimals = 3;
  return charts;
}

void add_line(Charts& charts, const std::string& name, int style, const Interpolation& line) {
  charts.performance.series.push_back(
      {name, style, line.lambda, shown(line.metric, line.performance), {}, {}});
  charts.loss.series.push_back({name, style, line.lambda, line.loss, {}, {}});
  charts.data.push_back({name, line.csv});
}

std::vector<TableCell> row_of(const std::string& name, const Interpolation& line,
                              const std::string& paper) {
  return {
      {name, line.images ? fmt::format("{} images", *line.images) : ""},
      {fmt::format("{} and {}", format_performance(line.metric, line.performance.front()),
                   format_performance(line.metric, line.performance.back())),
       ""},
      {format_size(line.metric, line.performance_barrier), ""},
      {std::isfinite(line.loss_barrier) ? fmt::format("{:.3f}", line.loss_barrier) : "unbounded",
       ""},
      {paper, ""}};
}

void add_figures(std::vector<Figure>& figures, const std::string& target, const std::string& what,
                 const Charts& charts) {
  if (charts.performance.series.empty()) return;
  figures.push_back({line_chart(charts.performance),
                     fmt::format("{}: test performance {}.", target, what), charts.data});
  figures.push_back({line_chart(charts.loss),
                     fmt::format("{}: test loss on the same lines.", target), charts.data});
}

std::string line_text(const Target& target, const char* kind) {
  const char* text = paper_line(target.name, kind);
  return text ? text : "";
}

// Whether the paper takes best and last checkpoints apart there, or somebody did here.
bool has_best(const Target& target, const Lines& lines) {
  const PaperNumbers* paper = paper_numbers(target.name);
  return (paper && paper->is_auc) || lines.contains("finetune_best-finetune") ||
         lines.contains("randinit_best-randinit");
}

void add_claims(const Results& results, std::map<std::string, Lines>& all, Section& section) {
  const auto find = [&](const Target& target, const char* kind) -> const Interpolation* {
    const auto found = all[target.name].find(kind);
    return found == all[target.name].end() ? nullptr : &found->second;
  };
  const auto measure = [&](const Target& target,
                           const char* kind) -> std::optional<BarrierMeasurement> {
    const Interpolation* line = find(target, kind);
    if (line == nullptr) return std::nullopt;
    return BarrierMeasurement{line->performance_barrier, line->performance.front(),
                              line->performance.back(),
                              line->images ? line->images : target.test_size};
  };
  const auto metric = [&](const Target& target, const char* kind) {
    const Interpolation* line = find(target, kind);
    return line ? line->metric : Metric::kAccuracy;
  };
  // Which targets a claim is about; the paper starts two RI-T from equal weights on DomainNet only.
  const auto all_targets = [](const Target&) { return true; };
  const auto with_best = [&](const Target& target) { return has_best(target, all[target.name]); };
  const auto with_same_init = [&](const Target& target) {
    const PaperNumbers* paper = paper_numbers(target.name);
    return !paper || !paper->is_auc || find(target, "same_init") != nullptr;
  };
  const auto claim = [&](const char* statement, const std::string& rule, const char* kind,
                         auto judge, auto includes) {
    Claim made{statement, rule, {}};
    for (const Target& target : results.targets) {
      if (!includes(target)) continue;
      made.findings.push_back(
          {target.name, judge(target, kind), paper_text(target.name, line_text(target, kind))});
    }
    if (made.findings.empty()) {
      made.findings.push_back(
          {"All targets", judged_not_run(), "see Figures 4 and 16 of the paper"});
    }
    section.claim(made);
  };
  const auto no_barrier = [&](const Target& target, const char* kind) {
    return judge_no_barrier(metric(target, kind), measure(target, kind));
  };
  const auto barrier = [&](const Target& target, const char* kind) {
    return judge_barrier(metric(target, kind), measure(target, kind));
  };
  const auto lower = [&](const Target& target, const char* kind) {
    return judge_lower_barrier(metric(target, kind), measure(target, kind),
                               measure(target, "randinit-randinit"));
  };
  // Of two checkpoints of one run, which may be the same.
  const auto in_one_run = [&](const auto& judge) {
    return [&find, judge](const Target& target, const char* kind) {
      const Interpolation* line = find(target, kind);
      if (line != nullptr && is_one_network(*line)) {
        return Judgement{Verdict::kNotEnough, "the best checkpoint is the last one"};
      }
      return judge(target, kind);
    };
  };
  const std::string same_checkpoint =
      " Where the best checkpoint is the last one there is nothing to compare: not enough data.";
  claim("No barrier between two P-T: they lie in one basin", kNoBarrierRule, "finetune-finetune",
        no_barrier, all_targets);
  claim("A barrier between two RI-T", kBarrierRule, "randinit-randinit", barrier, all_targets);
  claim("A barrier between RI-T and P-T", kBarrierRule, "randinit-finetune", barrier, all_targets);
  claim("A barrier also between two RI-T from the same random weights", kBarrierRule, "same_init",
        barrier, with_same_init);
  claim("Equal random weights at the start lower the barrier between two RI-T", kLowerBarrierRule,
        "same_init", lower, with_same_init);
  claim("No barrier between the best and the last checkpoint of one P-T run",
        kNoBarrierRule + same_checkpoint, "finetune_best-finetune", in_one_run(no_barrier),
        with_best);
  claim("A barrier even between the best and the last checkpoint of one RI-T run",
        kBarrierRule + same_checkpoint, "randinit_best-randinit", in_one_run(barrier), with_best);
}

}  // namespace

void write_interpolate(Results& results, Section& section) {
  section.lead("Question", "Do two trained networks lie in one basin of the loss?");
  section.lead("Paper",
               "Two P-T do: no point of the straight line between them is worse than its ends. "
               "Two RI-T do not, nor RI-T and P-T: performance falls to chance in between. Equal "
               "random weights at the start lower the barrier and do not remove it.");
  std::map<std::string, Lines> all;
  std::size_t count = 0;
  for (const Target& target : results.targets) {
    all[target.name] = find_lines(results.folder, target.name);
    count += all[target.name].size();
  }
  if (count > 0) {
    section.lead(
        "Run here",
        fmt::format("{}; every parameter is (1 \u2212 \u03bb) times the first network plus "
                    "\u03bb times the second, evaluated on the test set; {} lines. A "
                    "barrier is the largest fall below the straight line between the "
                    "ends.",
                    results.source_model, count));
  } else {
    section.not_run("Interpolation.");
  }
  add_claims(results, all, section);

  Table table;
  table.caption =
      "Barriers: the largest distance of the curve from the straight line between its ends, below "
      "it for performance, above it for loss. Paper: Figures 4 and 16. * is the best checkpoint.";
  table.header = {"Target and pair", "Ends", "Performance barrier", "Loss barrier", "Paper"};
  Table across = table;
  across.caption =
      "Between P-T of two domains, evaluated on the first: shown without a verdict, for we know of "
      "no figure of the paper.";
  std::vector<std::vector<Figure>> figures;  // by target
  for (const Target& target : results.targets) {
    const Lines& lines = all[target.name];
    if (lines.empty()) {
      if (count > 0) section.not_run("Interpolation on " + target.name + ".");
      continue;
    }
    const Metric metric = lines.begin()->second.metric;
    Charts main = make_charts(target.name, metric);
    Charts best = make_charts(target.name, metric);
    Charts domains = make_charts(target.name, metric);
    const auto add = [&](const LineKind& kind, Charts& charts, bool expected) {
      const std::string name = fmt::format("{}, {}", target.name, kind.name);
      const std::string text = line_text(target, kind.kind);
      const std::string paper = text.empty() ? std::string(kNoPaperFigure) : text;
      const auto found = lines.find(kind.kind);
      if (found != lines.end() && found->second.metric == metric) {
        add_line(charts, kind.name, kind.style, found->second);
        table.rows.push_back(row_of(name, found->second, paper));
      } else if (expected) {
        table.rows.push_back({{name, ""}, {"not run", ""}, {"", ""}, {"", ""}, {paper, ""}});
      }
    };
    const PaperNumbers* numbers = paper_numbers(target.name);
    for (const LineKind& kind : kMain) {
      add(kind, main, std::string_view(kind.kind) != "same_init" || !numbers || !numbers->is_auc);
    }
    for (const LineKind& kind : kBest) add(kind, best, has_best(target, lines));
    int style = 0;
    for (const auto& [kind, line] : lines) {
      if (!kind.starts_with(kAcross) || line.metric != metric) continue;
      const std::string name = fmt::format("{} to {}", target.name, kind.substr(kAcross.size()));
      add_line(domains, name, style++, line);
      across.rows.push_back(row_of(name, line, kNoPaperFigure));
    }
    std::vector<Figure>& here = figures.emplace_back();
    add_figures(here, target.name, "between two networks", main);
    add_figures(here, target.name, "between best (*) and last checkpoints", best);
    add_figures(here, target.name, "between its P-T and that of another domain", domains);
  }
  section.table(table);
  section.table(across);
  for (const std::vector<Figure>& here : figures) section.figures(here);
}

}  // namespace basin::report
