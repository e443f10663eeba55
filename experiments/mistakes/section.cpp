// Do two networks fail on the same examples? Paper, section 3.2 and appendix.
#include <fmt/format.h>

#include "experiments/report/claims_networks.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

struct MistakePair {
  const char* pair;  // as the folders call it
  const char* name;
  const char *first, *second;
};
constexpr MistakePair kMistakePairs[] = {
    {"finetune-finetune", "P-T & P-T", "the first P-T", "the second P-T"},
    {"randinit-finetune", "RI-T & P-T", "RI-T", "P-T"},
    {"randinit-randinit", "RI-T & RI-T", "the first RI-T", "the second RI-T"}};

struct Mistakes {
  std::string folder, csv;
  bool swapped = false;  // the folder names the pair the other way round
  std::vector<std::pair<std::string, MistakeCounts>> labels;  // "all" first
};

std::int64_t count(const CsvTable& table, std::size_t row, const char* column,
                   const std::string& file) {
  const double value = required(table, row, column, file);
  BASIN_CHECK(value >= 0 && value < 1e15, file, ": row ", row + 1, " has ", value, " ", column,
              "; that is no count");
  return static_cast<std::int64_t>(value);
}

Mistakes read_mistakes(const Folder& folder, const std::string& analysis, const std::string& file) {
  Mistakes mistakes;
  mistakes.folder = "analyses/" + analysis;
  mistakes.csv = file;
  const CsvTable table = folder.table(file);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    MistakeCounts counts;
    counts.items = count(table, row, "items", file);
    counts.both_wrong = count(table, row, "both_wrong", file);
    counts.only_first_wrong = count(table, row, "only_first_wrong", file);
    counts.only_second_wrong = count(table, row, "only_second_wrong", file);
    BASIN_CHECK(counts.either_wrong() <= counts.items, file, ": row ", row + 1, " has ",
                counts.either_wrong(), " mistakes on ", counts.items, " items");
    mistakes.labels.emplace_back(table.text(row, "label"), counts);
  }
  BASIN_CHECK(!mistakes.labels.empty() && mistakes.labels[0].first == "all", file,
              ": the first row must be that of the label 'all'");
  return mistakes;
}

std::optional<Mistakes> find_mistakes(Folder& folder, const std::string& target,
                                      const std::string& pair) {
  std::optional<Mistakes> found;
  for (const std::string& name : {pair, reversed_pair(pair)}) {
    const std::string analysis = "mistakes-" + target + "-" + name;
    const auto file = folder.analysis_file(analysis, "mistakes.csv");
    if (!file || found) continue;
    folder.attempt(*file, [&] {
      Mistakes mistakes = read_mistakes(folder, analysis, *file);
      mistakes.swapped = name != pair;
      if (mistakes.swapped) {
        for (auto& [label, counts] : mistakes.labels) {
          std::swap(counts.only_first_wrong, counts.only_second_wrong);
        }
      }
      found = std::move(mistakes);
    });
  }
  return found;
}

std::string share(std::optional<double> ratio) {
  return ratio ? fmt::format("{:.1f} %", 100 * *ratio) : "no mistake";
}

std::vector<TableCell> row_of(const std::string& name, const std::string& note,
                              const MistakeCounts& counts) {
  const double items = static_cast<double>(std::max<std::int64_t>(1, counts.items));
  const auto of_items = [&](std::int64_t n) {
    return TableCell{std::to_string(n),
                     fmt::format("{:.1f} % of items", 100 * static_cast<double>(n) / items)};
  };
  return {{name, note},
          of_items(counts.both_wrong),
          of_items(counts.only_first_wrong),
          of_items(counts.only_second_wrong),
          {share(counts.common_ratio()), "if independent " + share(counts.independent_ratio())}};
}

// The picture grids of one pair, where they are there.
void add_pictures(Folder& folder, const std::string& target, const MistakePair& kind,
                  const Mistakes& mistakes, std::vector<Figure>& figures) {
  const std::string first = mistakes.swapped ? kind.second : kind.first;
  const std::string second = mistakes.swapped ? kind.first : kind.second;
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
           fmt::format("{}, {}: {}.", target, kind.name, caption), links});
    });
  }
}

}  // namespace

void write_mistakes(Results& results, Section& section) {
  section.lead("Question", "Do two networks fail on the same examples?");
  section.lead("Paper",
               "Two P-T make nearly the same mistakes; P-T and RI-T, and two RI-T, do not. What "
               "only P-T gets wrong is mostly ambiguous, what only RI-T gets wrong is often easy. "
               "The appendix has tables whose numbers we could not obtain.");
  std::map<std::pair<std::string, std::string>, Mistakes> all;
  for (const Target& target : results.targets) {
    for (const MistakePair& kind : kMistakePairs) {
      if (auto found = find_mistakes(results.folder, target.name, kind.pair)) {
        all.emplace(std::pair{target.name, std::string(kind.pair)}, std::move(*found));
      }
    }
  }
  const auto counts = [&](const Target& target, const char* pair) -> std::optional<MistakeCounts> {
    const auto found = all.find({target.name, pair});
    if (found == all.end()) return std::nullopt;
    return found->second.labels[0].second;
  };
  if (all.empty()) {
    section.not_run("Mistakes.");
  } else {
    section.lead("Run here",
                 fmt::format("{}, final networks on all test images; an item is an image, or, for "
                             "multi-label targets, an image and a label decided at a probability "
                             "of 0.5.",
                             results.source_model));
  }
  const auto claim = [&](const char* statement, const char* other) {
    section.claim(target_claim(
        results, statement, kSharedMistakesRule,
        [&](const Target& target) {
          return judge_shared_mistakes(counts(target, "finetune-finetune"), counts(target, other));
        },
        [](const Target&) { return std::string(); }));
  };
  claim("Two P-T share more of their mistakes than P-T and RI-T", "randinit-finetune");
  claim("Two P-T share more of their mistakes than two RI-T", "randinit-randinit");

  Table table;
  table.caption =
      "Common and uncommon mistakes. Common ratio: both wrong, of all items that at least one gets "
      "wrong; below it what it would be if the two erred independently of each other at their own "
      "rates.";
  table.header = {"Target and pair", "Both wrong", "Only first wrong", "Only second wrong",
                  "Common ratio"};
  Table labels = table;
  labels.caption = "The same per label of the multi-label targets.";
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    for (const MistakePair& kind : kMistakePairs) {
      const auto found = all.find({target.name, kind.pair});
      if (found == all.end()) {
        if (!all.empty())
          section.not_run(fmt::format("Mistakes of {} on {}.", kind.name, target.name));
        continue;
      }
      const Mistakes& mistakes = found->second;
      const std::string name = fmt::format("{}, {}", target.name, kind.name);
      table.data.push_back({name, mistakes.csv});
      table.rows.push_back(row_of(name, fmt::format("{} items", mistakes.labels[0].second.items),
                                  mistakes.labels[0].second));
      for (std::size_t i = 1; i < mistakes.labels.size(); ++i) {
        labels.rows.push_back(row_of(name, mistakes.labels[i].first, mistakes.labels[i].second));
      }
      if (std::string_view(kind.pair) == "randinit-finetune") {
        add_pictures(results.folder, target.name, kind, mistakes, figures);
      }
    }
  }
  section.table(table);
  section.table(labels);
  section.figures(figures);
}

}  // namespace basin::report
