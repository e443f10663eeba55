// How far does a basin reach? Paper, section 3.3, Definition 3.1.
#include <fmt/format.h>

#include "experiments/extent/claims.h"
#include "experiments/report/measures.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr Kind kExtentPairs[] = {{kFinetunePair, "2 P-T", kFinetuneStyle},
                                 {kRandinitPair, "2 RI-T", kRandinitStyle}};

// Of two P-T; section 3.3 of the paper.
struct PaperBasin {
  const char* target;
  double epsilon, delta;
};
constexpr PaperBasin kPaperBasins[] = {
    {"real", 0.0038, 49.14}, {"clipart", 0.0054, 98.28}, {"quickdraw", 0.0034, 49.14}};

constexpr double kEpsilonMargin = 0.005;  // the tolerance of the band

struct Extended {
  std::string line_csv, deltas_csv;
  std::vector<double> lambda, error;
  std::vector<double> delta, per_coordinate, noise, extrapolation;
  BasinExtent basin;
  std::optional<double> lambda_low, lambda_high, mean_loss, images;
};

Extended read_extent(const Folder& folder, const AnalysisTable& csv) {
  Extended extended;
  extended.line_csv = csv.file;
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    extended.lambda.push_back(csv.number(row, "lambda"));
    extended.error.push_back(csv.number(row, "error"));
  }
  const std::string& name = extended.deltas_csv = "analyses/" + csv.analysis + "/deltas.csv";
  const CsvTable deltas = folder.table(name);
  for (std::size_t row = 0; row < deltas.row_count(); ++row) {
    extended.delta.push_back(required(deltas, row, "delta", name));
    extended.per_coordinate.push_back(required(deltas, row, "delta_per_coordinate", name));
    extended.noise.push_back(required(deltas, row, "noise_loss", name));
    extended.extrapolation.push_back(required(deltas, row, "extrapolation_loss", name));
  }
  const std::string result = "analyses/" + csv.analysis + "/result.json";
  const auto numbers = folder.numbers(result);
  const auto number = [&](const char* key) -> std::optional<double> {
    const auto found = numbers.find(key);
    if (found == numbers.end()) return std::nullopt;
    return found->second;
  };
  const std::optional<double> epsilon = number("epsilon");
  BASIN_CHECK(epsilon, result, ": no number epsilon");
  extended.basin = {*epsilon, number("delta"), {}};
  if (!extended.delta.empty()) extended.basin.largest_delta = extended.delta.back();
  extended.lambda_low = number("lambda_low");
  extended.lambda_high = number("lambda_high");
  extended.mean_loss = number("mean_loss");
  extended.images = number("images");
  return extended;
}

// The paper's basin of two P-T; "" where it gives none.
std::string paper_basin(const Target& target) {
  const PaperBasin* paper = paper_row(kPaperBasins, target.name);
  if (paper == nullptr) return "";
  return fmt::format("\u03b5 = {:.4f}, \u03b4 = {:.2f}", paper->epsilon, paper->delta);
}

}  // namespace

Judgement judge_basin(const BasinExtent* finetune) {
  if (finetune == nullptr) return judged_not_run();
  std::string measured = fmt::format("\u03b5 = {:.4f}, ", finetune->epsilon);
  if (finetune->delta)
    return decide(true, measured + fmt::format("\u03b4 = {:.2f}", *finetune->delta));
  measured += "no \u03b4 on the grid";
  if (finetune->largest_delta) measured += fmt::format(" up to {:.2f}", *finetune->largest_delta);
  return decide(false, measured);
}

Judgement judge_no_common_basin(const BasinExtent* finetune, const BasinExtent* randinit) {
  if (finetune == nullptr || randinit == nullptr) return judged_not_run();
  return decide(randinit->epsilon > finetune->epsilon + kEpsilonMargin,
                fmt::format("\u03b5 = {:.4f} for RI-T, {:.4f} for P-T", randinit->epsilon,
                            finetune->epsilon));
}

namespace {

void add_claims(const Results& results, const Measured<Extended>& all, Section& section) {
  const auto basin = [&](const Target& target, const char* pair) {
    const Extended* found = find(all, target.name, pair);
    return found ? &found->basin : nullptr;
  };
  section.claim(target_claim(
      results, "Two P-T span an (\u03b5, \u03b4)-basin with finite \u03b4",
      "\u03b5 is the mean absolute deviation of the test error from its mean on the stretch of the "
      "line through both networks where the error stays within the band; \u03b4 the least noise, "
      "and the least step outwards, that raise the error at its ends by 2\u03b5 or more "
      "(conditions 2 and 3 of Definition 3.1). Reproduced if a \u03b4 on the grid does both. One "
      "pair is measured.",
      [&](const Target& target) { return judge_basin(basin(target, kFinetunePair)); },
      paper_basin));
  section.claim(target_claim(
      results, "Two RI-T span no basin of the same \u03b5",
      fmt::format(
          "Reproduced if the \u03b5 of two RI-T, their mean absolute deviation (condition 1), is "
          "larger than the \u03b5 of two P-T by more than {}, the tolerance of the band: with the "
          "\u03b5 of the P-T, the RI-T then share no basin. One pair of each kind is measured.",
          kEpsilonMargin),
      [&](const Target& target) {
        return judge_no_common_basin(basin(target, kFinetunePair), basin(target, kRandinitPair));
      },
      paper_basin));
}

std::vector<Figure> figures_of(const std::string& target,
                               const std::map<std::string, Extended>& pairs) {
  LineChart line =
      performance_chart(Metric::kAccuracy, "Error on the line through two networks on " + target,
                        "Interpolation \u03bb", target + ": Test error (%)");
  std::vector<Link> line_links;
  std::vector<Figure> rises;
  for (const Kind& kind : kExtentPairs) {
    const auto found = pairs.find(kind.kind);
    if (found == pairs.end()) continue;
    const Extended& extended = found->second;
    add_series(line,
               {kind.name, kind.style, extended.lambda, shown(Metric::kAccuracy, extended.error)});
    line_links.push_back({kind.name, extended.line_csv});
    if (extended.delta.empty()) continue;
    LineChart rise;
    rise.description = fmt::format("Rise of the error at the ends, {} on {}", kind.name, target);
    rise.x_label = "\u03b4";
    rise.y_label = fmt::format("{}, {}: Rise of the error (points)", target, kind.name);
    const double threshold = shown(Metric::kAccuracy, 2 * extended.basin.epsilon);
    rise.series = {
        {"noise (condition 2)", 0, extended.delta, shown(Metric::kAccuracy, extended.noise)},
        {"extrapolation (condition 3)", 2, extended.delta,
         shown(Metric::kAccuracy, extended.extrapolation)},
        {"2\u03b5", 4, {extended.delta.front(), extended.delta.back()}, {threshold, threshold}}};
    rises.push_back({line_chart(rise),
                     fmt::format("{}, {}: mean error at the ends of the basin minus that inside "
                                 "it, after noise of norm \u03b4 and after a step of about \u03b4 "
                                 "outwards. \u03b4 is where both pass 2\u03b5.",
                                 target, kind.name),
                     {{"deltas.csv", extended.deltas_csv}}});
  }
  std::vector<Figure> figures = {
      {line_chart(line),
       target + ": test error on the line through both networks, which lie at 0 and 1.",
       line_links}};
  figures.insert(figures.end(), rises.begin(), rises.end());
  return figures;
}

TableRow row_of(const std::string& name, const Extended& e, const std::string& paper) {
  TableCell delta(e.basin.delta ? fmt::format("{:.2f}", *e.basin.delta) : "none found");
  for (std::size_t i = 0; i < e.delta.size(); ++i) {
    if (e.basin.delta && e.delta[i] == *e.basin.delta) {
      delta.note = fmt::format("{:.3g} per parameter", e.per_coordinate[i]);
    }
  }
  return {{name, e.images ? fmt::format("{} images", *e.images) : ""},
          fmt::format("{:.4f}", e.basin.epsilon),
          delta,
          e.lambda_low && e.lambda_high
              ? display(*e.lambda_low, 2) + " to " + display(*e.lambda_high, 2)
              : "",
          e.mean_loss ? fmt::format("{:.1f} %", 100 * *e.mean_loss) : "",
          paper};
}

}  // namespace

void write_extent(Results& results, Section& section) {
  section.lead("Question", "How flat and how wide is the basin that two P-T share?");
  section.lead("Paper",
               "An (\u03b5, \u03b4)-basin is a convex set in which the loss deviates by \u03b5 on "
               "average, and at whose border noise of size \u03b4, or a step of \u03b4 outwards, "
               "raises it by 2\u03b5. Two P-T span one with \u03b5 of 0.003 to 0.005; two RI-T do "
               "not.");
  const auto all = read_analyses<Extended>(
      results, "extent", "extent.csv", kExtentPairs,
      [&](const AnalysisTable& csv) { return read_extent(results.folder, csv); });
  if (all.empty()) {
    section.not_run("Extent of the basin.");
  } else {
    section.lead("Run here", results.source_model +
                                 "; the set is the stretch of the line through both networks, "
                                 "widened while the test error stays within the band; loss is the "
                                 "test error.");
  }
  add_claims(results, all, section);
  Table table{
      "Estimated basins. \u03b5 is a fraction of test images; \u03b4 is an l2 norm over all "
      "parameters, and grows with their number.",
      {"Target and pair", "\u03b5", "\u03b4", "Stretch of \u03bb", "Mean error", "Paper"}};
  std::vector<std::vector<Figure>> figures;  // by target
  for_each_target(results, section, all, "Extent of the basin",
                  [&](const Target& target, const auto& pairs) {
                    for (const Kind& kind : kExtentPairs) {
                      const std::string name = fmt::format("{}, {}", target.name, kind.name);
                      std::string paper = &kind == kExtentPairs ? paper_basin(target) : "";
                      if (paper.empty()) paper = kNoPaperFigure;
                      const Extended* extended = find(all, target.name, kind.kind);
                      table.rows.push_back(extended ? row_of(name, *extended, paper)
                                                    : TableRow{name, "not run", "", "", "", paper});
                    }
                    figures.push_back(figures_of(target.name, pairs));
                  });
  section.table(table);
  for (const std::vector<Figure>& here : figures) section.figures(here);
}

}  // namespace basin::report
