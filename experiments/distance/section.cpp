// How far apart are two networks in parameter space? Paper, section 3.2, Table 2.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/report/claims_networks.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"

namespace basin::report {
namespace {

constexpr std::pair<const char*, const char*> kDistancePairs[] = {
    {"finetune-finetune", "2 P-T"},
    {"randinit-randinit", "2 RI-T"},
    {"finetune-pretrained", "P-T & P"},
    {"randinit-pretrained", "RI-T & P"}};

struct ModuleDistance {
  double distance, norm_a, norm_b;
  // 0 for equal networks, the square root of 2 for orthogonal ones, whatever their norms.
  double relative() const { return distance / std::sqrt((norm_a * norm_a + norm_b * norm_b) / 2); }
};

struct Distances {
  std::string csv;
  std::vector<std::string> modules;  // in file order, without the sums
  std::map<std::pair<std::string, std::string>, ModuleDistance> values;  // by pair and module

  std::optional<ModuleDistance> find(const std::string& pair, const std::string& module) const {
    const auto found = values.find({pair, module});
    if (found == values.end()) return std::nullopt;
    return found->second;
  }
  // Over all parameters; over all but the classifier for pairs with the pre-trained network, whose
  // classifier has another shape.
  std::optional<ModuleDistance> total(const std::string& pair) const {
    return find(pair, pair.ends_with("-pretrained") ? "all_but_fc" : "all");
  }
  std::vector<ModuleValue> by_module(const std::string& pair, bool relative) const {
    std::vector<ModuleValue> all;
    for (const std::string& module : modules) {
      if (const auto value = find(pair, module)) {
        all.push_back({module, relative ? value->relative() : value->distance});
      }
    }
    return all;
  }
};

Distances read_distances(const Folder& folder, const std::string& file) {
  const CsvTable table = folder.table(file);
  Distances distances;
  distances.csv = file;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string& module = table.text(row, "module");
    distances.values[{table.text(row, "pair"), module}] = {required(table, row, "distance", file),
                                                           required(table, row, "norm_a", file),
                                                           required(table, row, "norm_b", file)};
    const bool known = std::find(distances.modules.begin(), distances.modules.end(), module) !=
                       distances.modules.end();
    if (!known && module != "all" && module != "all_but_fc") distances.modules.push_back(module);
  }
  return distances;
}

Figure distance_map(const std::string& target, const Distances& distances, bool relative) {
  HeatMap map;
  map.description = "Distance per module on " + target;
  map.value_label =
      fmt::format("{}: {} per module", target, relative ? "relative l2 distance" : "l2 distance");
  map.rows = distances.modules;
  map.values.resize(map.rows.size());
  for (const auto& [pair, name] : kDistancePairs) {
    map.columns.push_back(name);
    for (std::size_t m = 0; m < map.rows.size(); ++m) {
      const auto value = distances.find(pair, map.rows[m]);
      map.values[m].push_back(!value ? kMissing : relative ? value->relative() : value->distance);
    }
  }
  return {heat_map(map),
          relative ? target +
                         ": distance of each module, divided by the root mean square of its "
                         "two norms."
                   : target + ": distance of each module, not normalised, as in the paper.",
          {{"distance.csv", distances.csv}}};
}

}  // namespace

void write_distance(Results& results, Section& section) {
  section.lead("Question", "How far apart do trained networks lie in parameter space?");
  section.lead("Paper",
               "Two P-T are much closer to each other than two RI-T (Table 2), and the distance "
               "grows towards the higher modules.");
  std::map<std::string, Distances> all;
  for (const Target& target : results.targets) {
    const auto file = results.folder.analysis_file("distance-" + target.name, "distance.csv");
    if (!file) continue;
    results.folder.attempt(
        *file, [&] { all.emplace(target.name, read_distances(results.folder, *file)); });
  }
  if (all.empty()) {
    section.not_run("Distances.");
  } else {
    section.lead("Run here",
                 fmt::format("{}, final networks, one pair of each kind.", results.source_model));
  }
  const auto total = [&](const Target& target, const char* pair) -> std::optional<double> {
    const auto found = all.find(target.name);
    if (found == all.end()) return std::nullopt;
    const auto distance = found->second.total(pair);
    if (!distance) return std::nullopt;
    return distance->distance;
  };
  const auto by_module = [&](const Target& target, bool relative) {
    const auto found = all.find(target.name);
    return found == all.end() ? std::vector<ModuleValue>()
                              : found->second.by_module("finetune-finetune", relative);
  };
  section.claim(target_claim(
      results, "Two P-T are closer than two RI-T in parameter space", kCloserRule,
      [&](const Target& target) {
        return judge_closer(total(target, "finetune-finetune"), total(target, "randinit-randinit"));
      },
      [](const Target& target) {
        const PaperNumbers* p = paper_numbers(target.name);
        return p ? fmt::format("{:.2f} against {:.2f} (ratio {:.2f})", p->finetune_pair,
                               p->randinit_pair, p->finetune_pair / p->randinit_pair)
                 : std::string();
      }));
  section.claim(target_claim(
      results, "The distance of two P-T grows towards the output", kDeeperRule,
      [&](const Target& target) {
        return judge_deeper(by_module(target, false), by_module(target, true));
      },
      [](const Target&) { return std::string(); }));

  Table table;
  table.caption =
      "l2 distance between two networks, over all parameters for pairs trained on the target, "
      "without the classifier for pairs with P; relative: divided by the root mean square of the "
      "two norms, so 1.41 (\u221a2) for orthogonal networks. Paper: Table 2.";
  table.header = {"Target"};
  for (const auto& [pair, name] : kDistancePairs) table.header.push_back(name);
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    const auto found = all.find(target.name);
    if (found == all.end()) {
      if (!all.empty()) section.not_run("Distances on " + target.name + ".");
      continue;
    }
    const Distances& distances = found->second;
    table.data.push_back({target.name, distances.csv});
    std::vector<TableCell> row = {{target.name, ""}};
    for (const auto& [pair, name] : kDistancePairs) {
      const auto value = distances.total(pair);
      row.push_back(value ? TableCell{fmt::format("{:.2f}", value->distance),
                                      fmt::format("relative {:.2f}", value->relative())}
                          : TableCell{"not run", ""});
    }
    table.rows.push_back(std::move(row));
    if (const PaperNumbers* paper = paper_numbers(target.name)) {
      const auto text = [](double value) { return TableCell{fmt::format("{:.2f}", value), ""}; };
      table.rows.push_back({{fmt::format("Paper: {}", paper->name), ""},
                            text(paper->finetune_pair),
                            text(paper->randinit_pair),
                            text(paper->finetune_pretrained),
                            text(paper->randinit_pretrained)});
    }
    if (!distances.modules.empty()) {
      figures.push_back(distance_map(target.name, distances, false));
      figures.push_back(distance_map(target.name, distances, true));
    }
  }
  section.table(table);
  section.figures(figures);
}

}  // namespace basin::report
