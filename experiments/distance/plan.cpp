// Measures the distances between a target's networks, in one table.
#include "experiments/distance/distance.h"
#include "experiments/plan/paper_plan.h"
#include "experiments/program/csv.h"
#include "experiments/program/run_folder.h"

namespace basin {
namespace {

void write_distances(const PaperPlan& plan, const TargetDomain& target,
                     const std::filesystem::path& folder, Session& session) {
  if (open_run_folder(session, folder, "distance", {{"target", target.name}}, true, false) ==
      RunStatus::kDone) {
    return;
  }
  CsvTable table({"pair", "module", "distance", "norm_a", "norm_b"});
  auto add = [&](const std::string& pair, const std::filesystem::path& a,
                 const std::filesystem::path& b) {
    for (const Distance& row : checkpoint_distances(a, b, "", session)) {
      table.add_row({pair, row.module, csv_number(row.distance), csv_number(row.norm_a),
                     csv_number(row.norm_b)});
    }
  };
  auto network = [&](Start start, int64_t seed) {
    return plan.run_folder(target, plan.main_run(target, start, seed));
  };
  for (const Start start : kStarts) {
    const std::string name = name_of(start);
    add(name + "-" + name, network(start, 1), network(start, 2));
  }
  for (const Start start : kStarts) {
    const std::string name = name_of(start);
    add(name + "-pretrained", network(start, 1), plan.run_folder(kPretraining));
  }
  table.write(folder / "distance.csv");
  finish_run_folder(session, folder);
}

}  // namespace

void plan_distance(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    std::vector<std::string> needs = {kPretraining};
    for (const Start start : kStarts) {
      for (const int64_t seed : {1, 2}) {
        needs.push_back(plan.run_name(target, plan.main_run(target, start, seed)));
      }
    }
    plan.add_analysis(
        {.target = target,
         .needs = needs,
         .images = 1,
         .run = [&plan, &target](const std::filesystem::path& folder, Session& session) {
           write_distances(plan, target, folder, session);
         }});
  }
}

}  // namespace basin
