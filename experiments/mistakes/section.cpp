// Do two networks fail on the same examples? Paper, section 3.2 and appendix.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/mistakes/claims.h"
#include "experiments/report/measures.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr Kind kMistakePairs[] = {{kFinetunePair, "P-T & P-T", 0},
                                  {kMixedPair, "RI-T & P-T", 0},
                                  {kRandinitPair, "RI-T & RI-T", 0}};
constexpr std::int64_t kFewestMistakes = 30;

struct MistakeTable {
  std::string folder, csv;
  bool reversed;                      // the folder names the pair the other way round
  std::vector<MistakeCounts> labels;  // "all" first
};

MistakeTable read_mistakes(const AnalysisTable& csv) {
  MistakeTable mistakes{"analyses/" + csv.analysis, csv.file, csv.reversed, {}};
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const auto count = [&](const char* column) {
      const double value = csv.number(row, column);
      BASIN_CHECK(value >= 0 && value < 1e15, csv.file, ": row ", row + 1, " has ", value, " ",
                  column, "; that is no count");
      return static_cast<std::int64_t>(value);
    };
    MistakeCounts counts{csv.table.text(row, "label"), count("items"), count("both_wrong"),
                         count("only_first_wrong"), count("only_second_wrong")};
    BASIN_CHECK(counts.either_wrong() <= counts.items, csv.file, ": row ", row + 1, " has ",
                counts.either_wrong(), " mistakes on ", counts.items, " items");
    if (csv.reversed) std::swap(counts.only_first_wrong, counts.only_second_wrong);
    mistakes.labels.push_back(std::move(counts));
  }
  BASIN_CHECK(!mistakes.labels.empty() && mistakes.labels[0].label == "all", csv.file,
              ": the first row must be that of the label 'all'");
  return mistakes;
}

std::string share(std::optional<double> ratio) {
  return ratio ? fmt::format("{:.1f} %", 100 * *ratio) : "no mistake";
}

TableRow row_of(const std::string& name, const std::string& note, const MistakeCounts& counts) {
  const double items = static_cast<double>(std::max<std::int64_t>(1, counts.items));
  const auto of_items = [&](std::int64_t n) {
    return TableCell(std::to_string(n),
                     fmt::format("{:.1f} % of items", 100 * static_cast<double>(n) / items));
  };
  return {{name, note},
          of_items(counts.both_wrong),
          of_items(counts.only_first_wrong),
          of_items(counts.only_second_wrong),
          {share(common_ratio(counts)), "if independent " + share(independent_ratio(counts))}};
}

// The picture grids of RI-T and P-T, where they are there.
void add_pictures(Folder& folder, const std::string& target, const MistakeTable& mistakes,
                  std::vector<Figure>& figures) {
  const std::string first = mistakes.reversed ? "P-T" : "RI-T";
  const std::string second = mistakes.reversed ? "RI-T" : "P-T";
  const std::pair<const char*, std::string> sheets[] = {
      {"only_first_wrong", "only " + first + " is wrong"},
      {"only_second_wrong", "only " + second + " is wrong"},
      {"both_wrong", "both are wrong"}};
  for (const auto& [sheet, caption] : sheets) {
    const std::string file = fmt::format("{}/{}.png", mistakes.folder, sheet);
    if (!folder.exists(file)) continue;
    std::vector<Link> links;
    const std::string list = mistakes.folder + "/pictures.csv";
    if (folder.exists(list)) links.push_back({"true and predicted classes", list});
    folder.attempt(file, [&] {
      figures.push_back(
          {embedded_png(folder.root() / file, fmt::format("Images of {}: {}", target, caption)),
           fmt::format("{}, RI-T & P-T: {}.", target, caption), links});
    });
  }
}

}  // namespace

std::optional<double> common_ratio(const MistakeCounts& counts) {
  if (counts.either_wrong() == 0) return std::nullopt;
  return static_cast<double>(counts.both_wrong) / static_cast<double>(counts.either_wrong());
}

std::optional<double> independent_ratio(const MistakeCounts& counts) {
  if (counts.items == 0 || counts.either_wrong() == 0) return std::nullopt;
  const double items = static_cast<double>(counts.items);
  const double first = static_cast<double>(counts.both_wrong + counts.only_first_wrong) / items;
  const double second = static_cast<double>(counts.both_wrong + counts.only_second_wrong) / items;
  return first * second / (first + second - first * second);
}

Judgement judge_shared_mistakes(const MistakeCounts* finetune, const MistakeCounts* other) {
  if (finetune == nullptr || other == nullptr) return judged_not_run();
  const std::int64_t first = finetune->either_wrong(), second = other->either_wrong();
  if (std::min(first, second) < kFewestMistakes) {
    return {Verdict::kNotEnough,
            fmt::format("{} and {} mistakes; at least {} in each pair are needed", first, second,
                        kFewestMistakes)};
  }
  const double a = *common_ratio(*finetune), b = *common_ratio(*other);
  const double error = kNormalQuantile * std::sqrt(a * (1 - a) / static_cast<double>(first) +
                                                   b * (1 - b) / static_cast<double>(second));
  const MeanInterval difference{a - b, a - b - error, a - b + error, 1};
  return decide(difference.lower, difference.upper, 0,
                fmt::format("{} against {}: {}", format_performance(Metric::kAccuracy, a),
                            format_performance(Metric::kAccuracy, b),
                            format_estimate(Metric::kAccuracy, difference)));
}

namespace {

void add_claims(const Results& results, const Measured<MistakeTable>& all, Section& section) {
  const std::string rule = fmt::format(
      "Common ratio: the share of the mistakes of either network that both make. Reproduced if the "
      "lower end of the 95 % confidence interval of the difference (two P-T minus the other pair) "
      "lies above 0; not reproduced if the upper end lies below 0; else not enough data. The "
      "interval is {} \u221a(r\u2081(1\u2212r\u2081)/u\u2081 + r\u2082(1\u2212r\u2082)/u\u2082) "
      "with u the number of mistakes of either network: it covers the choice of test images, not "
      "that of the networks, of which there is one pair each. At least {} mistakes in each pair "
      "are needed.",
      kNormalQuantile, kFewestMistakes);
  const auto counts = [&](const Target& target, const char* pair) {
    const MistakeTable* mistakes = find(all, target.name, pair);
    return mistakes == nullptr ? nullptr : &mistakes->labels[0];
  };
  for (const auto& [other, name] :
       {std::pair(kMixedPair, "P-T and RI-T"), std::pair(kRandinitPair, "two RI-T")}) {
    section.claim(target_claim(
        results, fmt::format("Two P-T share more of their mistakes than {}", name), rule,
        [&, other = other](const Target& target) {
          return judge_shared_mistakes(counts(target, kFinetunePair), counts(target, other));
        }));
  }
}

}  // namespace

void write_mistakes(Results& results, Section& section) {
  section.lead("Question", "Do two networks fail on the same examples?");
  section.lead("Paper",
               "Two P-T make nearly the same mistakes; P-T and RI-T, and two RI-T, do not. What "
               "only P-T gets wrong is mostly ambiguous, what only RI-T gets wrong is often easy. "
               "The appendix has tables whose numbers we could not obtain.");
  const auto all = read_analyses<MistakeTable>(results, "mistakes", "mistakes.csv", kMistakePairs,
                                               read_mistakes);
  if (all.empty()) {
    section.not_run("Mistakes.");
  } else {
    section.lead("Run here",
                 results.source_model +
                     ", final networks on all test images; an item is an image, or, for "
                     "multi-label targets, an image and a label decided at a probability of 0.5.");
  }
  add_claims(results, all, section);

  Table table{
      "Common and uncommon mistakes. Common ratio: both wrong, of all items that at least one gets "
      "wrong; below it what it would be if the two erred independently of each other at their own "
      "rates.",
      {"Target and pair", "Both wrong", "Only first wrong", "Only second wrong", "Common ratio"}};
  Table labels{"The same per label of the multi-label targets.", table.header};
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    for (const Kind& pair : kMistakePairs) {
      const MistakeTable* mistakes = find(all, target.name, pair.kind);
      if (mistakes == nullptr) {
        if (!all.empty()) {
          section.not_run(fmt::format("Mistakes of {} on {}.", pair.name, target.name));
        }
        continue;
      }
      const std::string name = fmt::format("{}, {}", target.name, pair.name);
      table.data.push_back({name, mistakes->csv});
      for (const MistakeCounts& counts : mistakes->labels) {
        const bool is_all = &counts == &mistakes->labels[0];
        (is_all ? table : labels)
            .rows.push_back(row_of(
                name, is_all ? fmt::format("{} items", counts.items) : counts.label, counts));
      }
      if (pair.kind == std::string_view(kMixedPair))
        add_pictures(results.folder, target.name, *mistakes, figures);
    }
  }
  section.table(table);
  section.table(labels);
  section.figures(figures);
}

}  // namespace basin::report
