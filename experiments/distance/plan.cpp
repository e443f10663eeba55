// Measures the distances between a target's networks, in one table.
#include "experiments/distance/distance.h"
#include "experiments/plan/paper_plan.h"
#include "experiments/program/csv.h"
#include "experiments/program/run_folder.h"

namespace basin {
namespace {

struct DistancesOfTarget {
  std::string target;
  std::vector<NetworkPair> pairs;
  std::filesystem::path out;
};

void run_distances(const DistancesOfTarget& options, Session& session) {
  if (open_run_folder(session, options.out, "distance", {{"target", options.target}}, true,
                      false) == RunStatus::kDone) {
    return;
  }
  CsvTable table({"pair", "module", "distance", "norm_a", "norm_b"});
  for (const NetworkPair& pair : options.pairs) {
    for (const Distance& row : checkpoint_distances(pair.first, pair.second, "", session)) {
      table.add_row({pair.name, row.module, csv_number(row.distance), csv_number(row.norm_a),
                     csv_number(row.norm_b)});
    }
  }
  table.write(options.out / "distance.csv");
  finish_run_folder(session, options.out);
}

}  // namespace

void plan_distance(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    DistancesOfTarget options{target.name, plan.main_pairs(target), {}};
    options.pairs.pop_back();  // two P-T and two RI-T stay
    std::vector<std::string> needs = {kPretraining};
    for (const NetworkPair& pair : options.pairs) {
      needs.insert(needs.end(), pair.needs.begin(), pair.needs.end());
    }
    for (const Start start : kStarts) {
      options.pairs.push_back({std::string(name_of(start)) + "-pretrained",
                               plan.run_folder(target, plan.main_run(target, start)),
                               plan.run_folder(kPretraining),
                               {}});
    }
    plan.add_analysis({.target = target, .needs = needs, .images = 1}, options, run_distances);
  }
}

}  // namespace basin
