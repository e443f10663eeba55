// How far apart are two networks in parameter space? Paper, section 3.2, Table 2.
#include <fmt/format.h>

#include <cmath>

#include "experiments/distance/claims.h"
#include "experiments/report/measures.h"

namespace basin::report {
namespace {

constexpr Kind kDistancePairs[] = {{kFinetunePair, "2 P-T", 0},
                                   {kRandinitPair, "2 RI-T", 0},
                                   {"finetune-pretrained", "P-T & P", 0},
                                   {"randinit-pretrained", "RI-T & P", 0}};

// Table 2 of the paper, in the order of kDistancePairs.
struct PaperDistances {
  const char* target;
  double distances[4];
};
constexpr PaperDistances kTable2[] = {{"real", {193.45, 815.08, 164.83, 796.80}},
                                      {"clipart", {178.07, 822.43, 157.19, 811.87}},
                                      {"quickdraw", {218.52, 776.76, 195.44, 785.22}},
                                      {"CheXpert", {200.12, 255.34, 237.31, 598.19}}};

struct ModuleDistance {
  double distance, norm_a, norm_b;
  // 0 for equal networks, the square root of 2 for orthogonal ones, whatever their norms.
  double relative() const { return distance / std::sqrt((norm_a * norm_a + norm_b * norm_b) / 2); }
};

struct Distances {
  std::string csv;
  std::vector<std::string> modules;  // in file order, without the sums
  std::map<std::pair<std::string, std::string>, ModuleDistance> values;  // by pair and module

  const ModuleDistance* find(const std::string& pair, const std::string& module) const {
    const auto found = values.find({pair, module});
    return found == values.end() ? nullptr : &found->second;
  }
  // Over all parameters; for pairs with the pre-trained network without the classifier, which has
  // another shape there.
  const ModuleDistance* total(const std::string& pair) const {
    return find(pair, pair.ends_with("-pretrained") ? "all_but_fc" : "all");
  }
};

Distances read_distances(const AnalysisTable& csv) {
  Distances distances{csv.file, {}, {}};
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const std::string& module = csv.table.text(row, "module");
    distances.values[{csv.table.text(row, "pair"), module}] = {
        csv.number(row, "distance"), csv.number(row, "norm_a"), csv.number(row, "norm_b")};
    if (module != "all" && module != "all_but_fc") remember(distances.modules, module);
  }
  return distances;
}

}  // namespace

Judgement judge_closer(std::optional<double> finetune, std::optional<double> randinit) {
  if (!finetune || !randinit) return judged_not_run();
  std::string measured = fmt::format("{:.2f} against {:.2f}", *finetune, *randinit);
  if (*randinit > 0) measured += fmt::format(" (ratio {:.2f})", *finetune / *randinit);
  return decide(*finetune < *randinit, measured);
}

namespace {

void add_claims(const Results& results, const Measured<Distances>& all, Section& section) {
  const auto total = [&](const Target& target, const char* pair) -> std::optional<double> {
    const Distances* distances = find(all, target.name, "");
    if (distances == nullptr || distances->total(pair) == nullptr) return std::nullopt;
    return distances->total(pair)->distance;
  };
  section.claim(target_claim(
      results, "Two P-T are closer than two RI-T in parameter space",
      "Reproduced if the l2 distance over all parameters between two P-T is smaller than that "
      "between two RI-T. One pair of each kind is measured, so the verdict carries no interval; "
      "the ratio says how clear it is.",
      [&](const Target& target) {
        return judge_closer(total(target, kFinetunePair), total(target, kRandinitPair));
      },
      [](const Target& target) {
        const PaperDistances* paper = paper_row(kTable2, target.name);
        if (paper == nullptr) return std::string();
        return judge_closer(paper->distances[0], paper->distances[1]).measured;
      }));
  section.claim(target_claim(
      results, "The distance of two P-T grows towards the output",
      "Spearman\u2019s rank correlation between the depth of a module and the l2 distance of two "
      "P-T in it, without fc, whose random starts differ. " +
          depth_rule() +
          " The distance is not normalised, as in the paper, so it also grows with the size of a "
          "module; the correlation of the relative distance stands beside it.",
      [&](const Target& target) {
        std::vector<ModuleValue> distance, relative;
        if (const Distances* distances = find(all, target.name, "")) {
          for (const std::string& module : distances->modules) {
            const ModuleDistance* value = distances->find(kFinetunePair, module);
            if (value == nullptr) continue;
            distance.push_back({module, value->distance});
            relative.push_back({module, value->relative()});
          }
        }
        return judge_depth(distance, "relative distance", relative);
      }));
}

Figure distance_map(const std::string& target, const Distances& distances, bool relative) {
  const auto value = [&](const std::string& module, const Kind& kind) {
    const ModuleDistance* found = distances.find(kind.kind, module);
    return found == nullptr ? kMissing : relative ? found->relative() : found->distance;
  };
  const std::string label =
      fmt::format("{}: {} per module", target, relative ? "relative l2 distance" : "l2 distance");
  return {heat_map(module_map("Distance per module on " + target, label, distances.modules,
                              kDistancePairs, value)),
          target + (relative ? ": distance of each module, divided by the root mean square of its "
                               "two norms."
                             : ": distance of each module, not normalised, as in the paper."),
          {{"distance.csv", distances.csv}}};
}

}  // namespace

void write_distance(Results& results, Section& section) {
  section.lead("Question", "How far apart do trained networks lie in parameter space?");
  section.lead("Paper",
               "Two P-T are much closer to each other than two RI-T (Table 2), and the distance "
               "grows towards the higher modules.");
  const auto all =
      read_analyses<Distances>(results, "distance", "distance.csv", kPerTarget, read_distances);
  if (all.empty()) {
    section.not_run("Distances.");
  } else {
    section.lead("Run here", results.source_model + ", final networks, one pair of each kind.");
  }
  add_claims(results, all, section);

  Table table{
      "l2 distance between two networks, over all parameters for pairs trained on the target, "
      "without the classifier for pairs with P; relative: divided by the root mean square of the "
      "two norms, so 1.41 (\u221a2) for orthogonal networks. Paper: Table 2.",
      {"Target"}};
  for (const Kind& pair : kDistancePairs) table.header.emplace_back(pair.name);
  std::vector<Figure> figures;
  for_each_target(results, section, all, "Distances", [&](const Target& target, const auto& found) {
    const Distances& distances = found.at("");
    table.data.push_back({target.name, distances.csv});
    TableRow row = {target.name};
    for (const Kind& pair : kDistancePairs) {
      const ModuleDistance* value = distances.total(pair.kind);
      row.push_back(value ? TableCell(fmt::format("{:.2f}", value->distance),
                                      fmt::format("relative {:.2f}", value->relative()))
                          : "not run");
    }
    table.rows.push_back(std::move(row));
    if (const PaperDistances* paper = paper_row(kTable2, target.name)) {
      TableRow& reference = table.rows.emplace_back();
      reference.push_back(fmt::format("Paper: {}", paper->target));
      for (const double value : paper->distances) reference.push_back(fmt::format("{:.2f}", value));
    }
    if (distances.modules.empty()) return;
    for (const bool relative : {false, true}) {
      figures.push_back(distance_map(target.name, distances, relative));
    }
  });
  section.table(table);
  section.figures(figures);
}

}  // namespace basin::report
