// How far does a basin reach? Paper, section 3.3, Definition 3.1.
#include <fmt/format.h>

#include "experiments/report/claims_sweeps.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr PairKind kExtentPairs[] = {{"finetune-finetune", "2 P-T", kFinetuneStyle},
                                     {"randinit-randinit", "2 RI-T", kRandinitStyle}};

struct Extended {
  std::string line_csv, deltas_csv;
  std::vector<double> lambda, error;
  std::vector<double> delta, per_coordinate, noise, extrapolation;
  BasinExtent basin;
  std::optional<double> lambda_low, lambda_high, mean_loss, images;
};

std::optional<double> find_number(const std::map<std::string, double>& numbers, const char* key) {
  const auto found = numbers.find(key);
  if (found == numbers.end()) return std::nullopt;
  return found->second;
}

Extended read_extent(const Folder& folder, const std::string& analysis, const std::string& file) {
  Extended extended;
  extended.line_csv = file;
  const CsvTable line = folder.table(file);
  for (std::size_t row = 0; row < line.row_count(); ++row) {
    extended.lambda.push_back(required(line, row, "lambda", file));
    extended.error.push_back(required(line, row, "error", file));
  }
  extended.deltas_csv = "analyses/" + analysis + "/deltas.csv";
  const CsvTable deltas = folder.table(extended.deltas_csv);
  for (std::size_t row = 0; row < deltas.row_count(); ++row) {
    const std::string& name = extended.deltas_csv;
    extended.delta.push_back(required(deltas, row, "delta", name));
    extended.per_coordinate.push_back(required(deltas, row, "delta_per_coordinate", name));
    extended.noise.push_back(required(deltas, row, "noise_loss", name));
    extended.extrapolation.push_back(required(deltas, row, "extrapolation_loss", name));
  }
  const std::string result = "analyses/" + analysis + "/result.json";
  const auto numbers = folder.numbers(result);
  const std::optional<double> epsilon = find_number(numbers, "epsilon");
  BASIN_CHECK(epsilon, result, ": no number epsilon");
  extended.basin.epsilon = *epsilon;
  extended.basin.delta = find_number(numbers, "delta");
  if (!extended.delta.empty()) extended.basin.largest_delta = extended.delta.back();
  extended.lambda_low = find_number(numbers, "lambda_low");
  extended.lambda_high = find_number(numbers, "lambda_high");
  extended.mean_loss = find_number(numbers, "mean_loss");
  extended.images = find_number(numbers, "images");
  return extended;
}

using Extents = std::map<std::string, Extended>;

std::vector<Figure> figures_of(const std::string& target, const Extents& pairs) {
  LineChart line =
      performance_chart(Metric::kAccuracy, "Error on the line through two networks on " + target,
                        "Interpolation \u03bb", target + ": Test error (%)");
  std::vector<Link> line_links;
  std::vector<Figure> figures;
  for (const PairKind& kind : kExtentPairs) {
    const auto found = pairs.find(kind.pair);
    if (found == pairs.end()) continue;
    const Extended& extended = found->second;
    add_series(
        line,
        {kind.name, kind.style, extended.lambda, shown(Metric::kAccuracy, extended.error), {}, {}});
    line_links.push_back({kind.name, extended.line_csv});
  }
  figures.push_back(
      {line_chart(line),
       target + ": test error on the line through both networks, which lie at 0 and 1.",
       line_links});
  for (const PairKind& kind : kExtentPairs) {
    const auto found = pairs.find(kind.pair);
    if (found == pairs.end() || found->second.delta.empty()) continue;
    const Extended& extended = found->second;
    LineChart rise;
    rise.description = fmt::format("Rise of the error at the ends, {} on {}", kind.name, target);
    rise.x_label = "\u03b4";
    rise.y_label = fmt::format("{}, {}: Rise of the error (points)", target, kind.name);
    rise.decimals = 2;
    const double threshold = 200 * extended.basin.epsilon;
    rise.series = {{"noise (condition 2)",
                    0,
                    extended.delta,
                    shown(Metric::kAccuracy, extended.noise),
                    {},
                    {}},
                   {"extrapolation (condition 3)",
                    2,
                    extended.delta,
                    shown(Metric::kAccuracy, extended.extrapolation),
                    {},
                    {}},
                   {"2\u03b5",
                    4,
                    {extended.delta.front(), extended.delta.back()},
                    {threshold, threshold},
                    {},
                    {}}};
    figures.push_back(
        {line_chart(rise),
         fmt::format("{}, {}: mean error at the ends of the basin minus that inside "
                     "it, after noise of norm \u03b4 and after a step of about \u03b4 "
                     "outwards. \u03b4 is where both pass 2\u03b5.",
                     target, kind.name),
         {{"deltas.csv", extended.deltas_csv}}});
  }
  return figures;
}

}  // namespace

void write_extent(Results& results, Section& section) {
  section.lead("Question", "How flat and how wide is the basin that two P-T share?");
  section.lead("Paper",
               "An (\u03b5, \u03b4)-basin is a convex set in which the loss deviates by \u03b5 on "
               "average, and at whose border noise of size \u03b4, or a step of \u03b4 outwards, "
               "raises it by 2\u03b5. Two P-T span one with \u03b5 of 0.003 to 0.005; two RI-T do "
               "not.");
  std::map<std::string, Extents> all;
  for (const Target& target : results.targets) {
    for (const PairKind& kind : kExtentPairs) {
      const std::string analysis = fmt::format("extent-{}-{}", target.name, kind.pair);
      const auto file = results.folder.analysis_file(analysis, "extent.csv");
      if (!file) continue;
      results.folder.attempt(*file, [&] {
        all[target.name].emplace(kind.pair, read_extent(results.folder, analysis, *file));
      });
    }
  }
  if (all.empty()) {
    section.not_run("Extent of the basin.");
  } else {
    section.lead("Run here",
                 fmt::format("{}; the set is the stretch of the line through both networks, "
                             "widened while the test error stays within the band; loss is the "
                             "test error.",
                             results.source_model));
  }
  const auto basin = [&](const Target& target, const char* pair) -> std::optional<BasinExtent> {
    const auto found = all.find(target.name);
    if (found == all.end() || !found->second.contains(pair)) return std::nullopt;
    return found->second.at(pair).basin;
  };
  const auto paper = [](const Target& target) {
    const PaperNumbers* p = paper_numbers(target.name);
    return p && p->delta > 0 ? fmt::format("\u03b5 = {:.4f}, \u03b4 = {:.2f}", p->epsilon, p->delta)
                             : std::string();
  };
  section.claim(target_claim(
      results, "Two P-T span an (\u03b5, \u03b4)-basin with finite \u03b4", kBasinRule,
      [&](const Target& target) { return judge_basin(basin(target, "finetune-finetune")); },
      paper));
  section.claim(target_claim(
      results, "Two RI-T span no basin of the same \u03b5", kNoCommonBasinRule,
      [&](const Target& target) {
        return judge_no_common_basin(basin(target, "finetune-finetune"),
                                     basin(target, "randinit-randinit"));
      },
      paper));
  Table table;
  table.caption =
      "Estimated basins. \u03b5 is a fraction of test images; \u03b4 is an l2 norm over all "
      "parameters, and grows with their number.";
  table.header = {"Target and pair",   "\u03b5",     "\u03b4",
                  "Stretch of \u03bb", "Mean error", "Paper"};
  std::vector<std::vector<Figure>> figures;  // by target
  for (const Target& target : results.targets) {
    const auto found = all.find(target.name);
    if (found == all.end()) {
      if (!all.empty()) section.not_run("Extent of the basin on " + target.name + ".");
      continue;
    }
    for (const PairKind& kind : kExtentPairs) {
      const auto pair = found->second.find(kind.pair);
      const std::string name = fmt::format("{}, {}", target.name, kind.name);
      const std::string figure = paper(target);
      const TableCell reference{
          std::string_view(kind.pair) == "finetune-finetune" && !figure.empty() ? figure
                                                                                : kNoPaperFigure,
          ""};
      if (pair == found->second.end()) {
        table.rows.push_back(
            {{name, ""}, {"not run", ""}, {"", ""}, {"", ""}, {"", ""}, reference});
        continue;
      }
      const Extended& e = pair->second;
      TableCell delta{e.basin.delta ? fmt::format("{:.2f}", *e.basin.delta) : "none found", ""};
      for (std::size_t i = 0; i < e.delta.size(); ++i) {
        if (e.basin.delta && e.delta[i] == *e.basin.delta) {
          delta.note = fmt::format("{:.3g} per parameter", e.per_coordinate[i]);
        }
      }
      table.rows.push_back({{name, e.images ? fmt::format("{} images", *e.images) : ""},
                            {fmt::format("{:.4f}", e.basin.epsilon), ""},
                            delta,
                            {e.lambda_low && e.lambda_high
                                 ? display(*e.lambda_low, 2) + " to " + display(*e.lambda_high, 2)
                                 : "",
                             ""},
                            {e.mean_loss ? fmt::format("{:.1f} %", 100 * *e.mean_loss) : "", ""},
                            reference});
    }
    figures.push_back(figures_of(target.name, found->second));
  }
  section.table(table);
  for (const std::vector<Figure>& here : figures) section.figures(here);
}

}  // namespace basin::report
