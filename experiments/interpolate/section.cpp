// Barriers between two networks. Paper, section 3.3, Figures 4 and 16.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/interpolate/claims.h"
#include "experiments/interpolate/interpolate.h"
#include "experiments/report/measures.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr const char* kSameInit = "same_init";
constexpr Kind kMainLines[] = {{kFinetunePair, "P-T to P-T", kFinetuneStyle},
                               {kRandinitPair, "RI-T to RI-T", kRandinitStyle},
                               {kMixedPair, "RI-T to P-T", kMixedStyle},
                               {kSameInit, "RI-T to RI-T, same start", kFourthStyle}};
// Where training on overtrains: * is the best checkpoint, the others are the last ones.
constexpr const char *kFinetuneRun = "finetune_best-finetune",
                     *kRandinitRun = "randinit_best-randinit";
constexpr Kind kBestLines[] = {{"finetune_best-finetune_best", "P-T* to P-T*", 0},
                               {kFinetuneRun, "P-T* to P-T, one run", 4},
                               {"randinit_best-randinit_best", "RI-T* to RI-T*", 1},
                               {kRandinitRun, "RI-T* to RI-T, one run", 5},
                               {"finetune_best-randinit_best", "P-T* to RI-T*", 2}};
constexpr std::string_view kAcross = "across-";

// Figures 4 and 16 of the paper: performance along the line.
struct PaperLine {
  const char* target;
  std::string_view kind;
  const char* text;
};
constexpr PaperLine kPaperLines[] = {
    {"real", kFinetunePair, "78.4 and 78.5 % at the ends, 79.4 % in the middle"},
    {"real", kRandinitPair, "61.5 and 61.2 % at the ends, 0.4 % in the middle"},
    {"real", kMixedPair, "61.6 and 78.4 % at the ends, 0.5 % in the middle"},
    {"real", kSameInit, "61.5 and 61 % at the ends, 6.5 % in the middle"},
    {"clipart", kFinetunePair, "74.3 and 74.1 % at the ends, 75.3 % in the middle"},
    {"clipart", kSameInit, "58 % at both ends, 5.5 % in the middle"},
    {"quickdraw", kFinetunePair, "67.0 and 66.8 % at the ends, 67.2 % in the middle"},
    {"quickdraw", kRandinitPair, "64.2 and 63.7 % at the ends, 0.4 % in the middle"},
    {"quickdraw", kMixedPair, "64.1 and 66.8 % at the ends, 0.4 % in the middle"},
    {"quickdraw", kSameInit, "64.2 % at both ends, 16.3 % in the middle"},
    {"CheXpert", kFinetunePair, "0.735 and 0.733 at the ends, 0.745 in the middle"},
    {"CheXpert", kRandinitPair, "0.702 and 0.699 at the ends, 0.525 in the middle"},
    {"CheXpert", "finetune_best-finetune_best", "flat, 0.786 to 0.788"},
    {"CheXpert", kFinetuneRun, "0.786 and 0.733 at the ends, 0.777 in the middle"},
    {"CheXpert", "randinit_best-randinit_best", "0.770 and 0.767 at the ends, 0.543 in the middle"},
    {"CheXpert", kRandinitRun, "0.766 and 0.699 at the ends, 0.635 in the middle"},
    {"CheXpert", "finetune_best-randinit_best", "0.787 and 0.767 at the ends, 0.43 at worst"}};

constexpr double kSmallestBand = 0.01;
// A test set whose sampling error is larger than this cannot show that there is no barrier.
constexpr double kLargestBand = 0.05;

struct Interpolation {
  std::string csv;
  Metric metric;
  std::vector<double> lambda, performance, loss;
  Barrier barrier;
  std::optional<std::int64_t> images;  // it was evaluated on, where the analysis tells
};

Interpolation read_line(Folder& folder, const AnalysisTable& csv) {
  Interpolation line{csv.file, metric_of(csv.table), {}, {}, {}, {}, {}};
  std::vector<InterpolationPoint> points;
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    points.push_back({csv.number(row, "lambda"), csv.number(row, "loss"),
                      csv.number(row, performance_column(line.metric))});
    line.lambda.push_back(points.back().lambda);
    line.performance.push_back(points.back().score);
    line.loss.push_back(points.back().loss);
  }
  BASIN_CHECK(points.size() >= 3 && line.lambda.front() == 0 && line.lambda.back() == 1 &&
                  std::is_sorted(line.lambda.begin(), line.lambda.end()),
              csv.file, ": barrier: lambda must ascend from 0 to 1 over at least 3 points");
  line.barrier = barrier_of(points);
  const std::optional<double> images = folder.result_number(csv.analysis, "images");
  if (images && *images >= 1 && *images < 1e15) line.images = static_cast<std::int64_t>(*images);
  return line;
}

// All lines of the folder's targets.
Measured<Interpolation> read_lines(Results& results) {
  Measured<Interpolation> all;
  for (const std::string& analysis : results.folder.finished_analyses()) {
    for (const Target& target : results.targets) {
      const std::string prefix = "interpolate-" + target.name + "-";
      if (!analysis.starts_with(prefix)) continue;
      const std::string kind = analysis.substr(prefix.size());
      const auto csv =
          open_analysis(results, "interpolate", target.name, kind, "interpolation.csv");
      if (!csv) continue;
      results.folder.attempt(csv->file, [&] {
        Interpolation line = read_line(results.folder, *csv);
        all[target.name].emplace(kind, std::move(line));
      });
    }
  }
  return all;
}

// Both ends are one network: they measure the same, and in between the loss differs by rounding
// only.
bool is_one_network(const Interpolation& line) {
  const auto [least, most] = std::minmax_element(line.loss.begin(), line.loss.end());
  return line.loss.front() == line.loss.back() &&
         line.performance.front() == line.performance.back() &&
         *most - *least <= 1e-6 * std::abs(*most);
}

std::string paper_line(const Target& target, std::string_view kind) {
  for (const PaperLine& line : kPaperLines) {
    if (line.kind == kind && is_paper_target(target.name, line.target)) return line.text;
  }
  return "";
}

// Whether the paper distinguishes best and last checkpoints there, or somebody did here.
bool has_best(const Measured<Interpolation>& all, const Target& target) {
  return is_chexpert(target.name) || find(all, target.name, kFinetuneRun) != nullptr ||
         find(all, target.name, kRandinitRun) != nullptr;
}

std::string describe(const BarrierMeasurement& m) {
  return fmt::format("barrier {} between ends of {} and {}; band {}",
                     format_size(m.metric, m.height), format_performance(m.metric, m.first),
                     format_performance(m.metric, m.second),
                     format_size(m.metric, barrier_band(m)));
}

}  // namespace

double barrier_band(const BarrierMeasurement& measurement) {
  if (measurement.metric == Metric::kAuc || !measurement.test_size) return kSmallestBand;
  // The accuracy of a network on N images has the variance p (1 - p) / N. The difference of two
  // such accuracies has at most twice that, for both are taken on the same images and so rise and
  // fall together.
  const double p = (measurement.first + measurement.second) / 2;
  const double variance = 2 * p * (1 - p) / static_cast<double>(*measurement.test_size);
  return std::max(kSmallestBand, kNormalQuantile * std::sqrt(variance));
}

Judgement judge_no_barrier(const std::optional<BarrierMeasurement>& measurement) {
  if (!measurement) return judged_not_run();
  const double band = barrier_band(*measurement);
  const std::string measured = describe(*measurement);
  if (measurement->height <= band && band > kLargestBand) {
    return {Verdict::kNotEnough, measured + " is too wide: the test set is too small"};
  }
  return decide(measurement->height <= band, measured);
}

Judgement judge_barrier(const std::optional<BarrierMeasurement>& measurement) {
  if (!measurement) return judged_not_run();
  return decide(measurement->height > barrier_band(*measurement), describe(*measurement));
}

Judgement judge_lower_barrier(const std::optional<BarrierMeasurement>& same,
                              const std::optional<BarrierMeasurement>& different) {
  if (!same || !different) return judged_not_run();
  const double band = std::max(barrier_band(*same), barrier_band(*different));
  const double lower = different->height - same->height;
  const std::string measured =
      fmt::format("barrier {} from the same weights, {} from different ones; band {}",
                  format_size(same->metric, same->height),
                  format_size(same->metric, different->height), format_size(same->metric, band));
  return decide(lower - band, lower + band, 0, measured);
}

namespace {

void add_claims(const Results& results, const Measured<Interpolation>& all, Section& section) {
  const auto measure = [&](const Target& target,
                           const char* kind) -> std::optional<BarrierMeasurement> {
    const Interpolation* line = find(all, target.name, kind);
    if (line == nullptr) return std::nullopt;
    return BarrierMeasurement{line->metric, line->barrier.score, line->performance.front(),
                              line->performance.back(),
                              line->images ? line->images : target.test_size};
  };
  // Which targets a claim is about; the paper starts two RI-T from equal weights on DomainNet only.
  const auto all_targets = [](const Target&) { return true; };
  const auto with_best = [&](const Target& target) { return has_best(all, target); };
  const auto with_same_init = [&](const Target& target) {
    return !is_chexpert(target.name) || find(all, target.name, kSameInit) != nullptr;
  };
  const auto claim = [&](const char* statement, const std::string& rule, const char* kind,
                         auto judge, auto includes) {
    section.claim(target_claim(
        results, statement, rule, [&](const Target& target) { return judge(target, kind); },
        [&](const Target& target) { return paper_line(target, kind); },
        {includes, "no measurement", "see Figures 4 and 16 of the paper"}));
  };
  const auto no_barrier = [&](const Target& target, const char* kind) {
    return judge_no_barrier(measure(target, kind));
  };
  const auto barrier = [&](const Target& target, const char* kind) {
    return judge_barrier(measure(target, kind));
  };
  const auto lower = [&](const Target& target, const char* kind) {
    return judge_lower_barrier(measure(target, kind), measure(target, kRandinitPair));
  };
  // Of two checkpoints of one run, which may be the same.
  const auto in_one_run = [&](const auto& judge) {
    return [&all, judge](const Target& target, const char* kind) {
      const Interpolation* line = find(all, target.name, kind);
      if (line != nullptr && is_one_network(*line)) {
        return Judgement{Verdict::kNotEnough, "the best checkpoint is the last one"};
      }
      return judge(target, kind);
    };
  };
  const std::string barrier_words =
      "Reproduced if the barrier, the largest fall of the curve below the straight line between "
      "its ends, is ";
  const std::string band_words = fmt::format(
      "the band: {} ({}), or the sampling error of the test set where that is larger, "
      "{} \u221a(2p(1\u2212p)/N)",
      format_points(kSmallestBand), kSmallestBand, kNormalQuantile);
  const std::string no_barrier_rule =
      barrier_words + "within " + band_words +
      fmt::format(
          " with p the mean accuracy of the ends and N the number of test images. A "
          "smaller fall cannot be told from chance on that many images. A band of more "
          "than {} shows nothing: not enough data.",
          format_points(kLargestBand));
  const std::string barrier_rule = barrier_words + "larger than " + band_words + ".";
  const std::string same_checkpoint =
      " Where the best checkpoint is the last one there is nothing to compare: not enough data.";
  claim("No barrier between two P-T: they lie in one basin", no_barrier_rule, kFinetunePair,
        no_barrier, all_targets);
  claim("A barrier between two RI-T", barrier_rule, kRandinitPair, barrier, all_targets);
  claim("A barrier between RI-T and P-T", barrier_rule, kMixedPair, barrier, all_targets);
  claim("A barrier also between two RI-T from the same random weights", barrier_rule, kSameInit,
        barrier, with_same_init);
  claim("Equal random weights at the start lower the barrier between two RI-T",
        "Reproduced if the barrier between two RI-T from the same random weights is smaller than "
        "that between two from different ones by more than the larger of their bands; not "
        "reproduced if it is larger by more than that; else not enough data. One pair of each kind "
        "is measured.",
        kSameInit, lower, with_same_init);
  claim("No barrier between the best and the last checkpoint of one P-T run",
        no_barrier_rule + same_checkpoint, kFinetuneRun, in_one_run(no_barrier), with_best);
  claim("A barrier even between the best and the last checkpoint of one RI-T run",
        barrier_rule + same_checkpoint, kRandinitRun, in_one_run(barrier), with_best);
}

struct Charts {
  LineChart performance, loss;
  std::vector<Link> data = {};
};

Charts make_charts(const std::string& target, Metric metric) {
  const std::string lambda = "Interpolation \u03bb";
  return {performance_chart(metric, "Test performance between two networks on " + target, lambda,
                            fmt::format("{}: {}", target, axis_label("Test", metric))),
          loss_chart("Test loss between two networks on " + target, lambda,
                     target + ": Test loss (nats)")};
}

void add_line(Charts& charts, const std::string& name, int style, const Interpolation& line) {
  charts.performance.series.push_back(
      {name, style, line.lambda, shown(line.metric, line.performance)});
  charts.loss.series.push_back({name, style, line.lambda, line.loss});
  charts.data.push_back({name, line.csv});
}

TableRow row_of(const std::string& name, const Interpolation& line, const std::string& paper) {
  return {{name, line.images ? fmt::format("{} images", *line.images) : ""},
          fmt::format("{} and {}", format_performance(line.metric, line.performance.front()),
                      format_performance(line.metric, line.performance.back())),
          format_size(line.metric, line.barrier.score),
          std::isfinite(line.barrier.loss) ? fmt::format("{:.3f}", line.barrier.loss) : "unbounded",
          paper};
}

void add_figures(std::vector<Figure>& figures, const std::string& target, const std::string& what,
                 const Charts& charts) {
  if (charts.performance.series.empty()) return;
  figures.push_back({line_chart(charts.performance),
                     fmt::format("{}: test performance {}.", target, what), charts.data});
  figures.push_back({line_chart(charts.loss),
                     fmt::format("{}: test loss on the same lines.", target), charts.data});
}

}  // namespace

void write_interpolate(Results& results, Section& section) {
  section.lead("Question", "Do two trained networks lie in one basin of the loss?");
  section.lead("Paper",
               "Two P-T do: no point of the straight line between them is worse than its ends. "
               "Two RI-T do not, nor RI-T and P-T: performance falls to chance in between. Equal "
               "random weights at the start lower the barrier and do not remove it.");
  const Measured<Interpolation> all = read_lines(results);
  std::size_t count = 0;
  for (const auto& [target, lines] : all) count += lines.size();
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

  Table table{
      "Barriers: the largest distance of the curve from the straight line between its ends, below "
      "it for performance, above it for loss. Paper: Figures 4 and 16. * is the best checkpoint.",
      {"Target and pair", "Ends", "Performance barrier", "Loss barrier", "Paper"}};
  Table across{
      "Between P-T of two domains, evaluated on the first: shown without a verdict, for we know of "
      "no figure of the paper.",
      table.header};
  std::vector<std::vector<Figure>> figures;  // by target
  for_each_target(
      results, section, all, "Interpolation", [&](const Target& target, const auto& lines) {
        const Metric metric = lines.begin()->second.metric;
        Charts main = make_charts(target.name, metric);
        Charts best = make_charts(target.name, metric);
        Charts domains = make_charts(target.name, metric);
        const auto add = [&](const Kind& kind, Charts& charts, bool expected) {
          const std::string name = fmt::format("{}, {}", target.name, kind.name);
          std::string paper = paper_line(target, kind.kind);
          if (paper.empty()) paper = kNoPaperFigure;
          const Interpolation* line = find(all, target.name, kind.kind);
          if (line != nullptr && line->metric == metric) {
            add_line(charts, kind.name, kind.style, *line);
            table.rows.push_back(row_of(name, *line, paper));
          } else if (expected) {
            table.rows.push_back({name, "not run", "", "", paper});
          }
        };
        for (const Kind& kind : kMainLines) {
          add(kind, main, kind.kind != std::string_view(kSameInit) || !is_chexpert(target.name));
        }
        for (const Kind& kind : kBestLines) add(kind, best, has_best(all, target));
        int style = 0;
        for (const auto& [kind, line] : lines) {
          if (!kind.starts_with(kAcross) || line.metric != metric) continue;
          const std::string name =
              fmt::format("{} to {}", target.name, kind.substr(kAcross.size()));
          add_line(domains, name, style++, line);
          across.rows.push_back(row_of(name, line, kNoPaperFigure));
        }
        std::vector<Figure>& here = figures.emplace_back();
        add_figures(here, target.name, "between two networks", main);
        add_figures(here, target.name, "between best (*) and last checkpoints", best);
        add_figures(here, target.name, "between its P-T and that of another domain", domains);
      });
  section.table(table);
  section.table(across);
  for (const std::vector<Figure>& here : figures) section.figures(here);
}

}  // namespace basin::report
