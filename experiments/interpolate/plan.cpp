// Interpolates between the networks of a target, and between those fine-tuned on two targets.
#include "experiments/interpolate/interpolate.h"
#include "experiments/plan/paper_plan.h"

namespace basin {
namespace {

void add_interpolation(PaperPlan& plan, const TargetDomain& target, const NetworkPair& pair,
                       bool across = false) {
  InterpolateOptions options;
  options.from = pair.first;
  options.to = pair.second;
  options.points = plan.preset().interpolation_points;
  options.kind = pair.name;
  options.target = target.name;
  plan.add_analysis({.target = target,
                     .detail = pair.name,
                     .needs = pair.needs,
                     .images = static_cast<double>(options.points) * test_images(target),
                     .after_all_targets = across},
                    options, run_interpolate);
}

// Best checkpoints with each other, and with the last.
void add_best(PaperPlan& plan, const TargetDomain& target) {
  auto add = [&](const std::string& name, const PaperPlan::Network& first,
                 const PaperPlan::Network& second) {
    add_interpolation(plan, target, plan.pair(target, name, first, second));
  };
  for (const Start start : kStarts) {
    const TargetRun run = plan.main_run(target, start), other = plan.main_run(target, start, 2);
    const std::string name = name_of(start), best = name + "_best";
    add(best + "-" + best, {run, true}, {other, true});
    add(best + "-" + name, {other, true}, {other, false});
  }
  add("finetune_best-randinit_best", {plan.main_run(target, Start::kFinetune), true},
      {plan.main_run(target, Start::kRandinit), true});
}

void add_same_init(PaperPlan& plan, const TargetDomain& target) {
  TargetRun same = plan.main_run(target, Start::kRandinit, 2);
  same.same_init = true;
  plan.add_run(target, same);
  const TargetRun first = plan.main_run(target, Start::kRandinit);
  add_interpolation(plan, target, plan.pair(target, "same_init", {first}, {same}));
}

}  // namespace

void plan_interpolate(PaperPlan& plan) {
  const std::vector<TargetDomain>& targets = plan.preset().targets;
  for (const TargetDomain& target : targets) {
    for (const NetworkPair& pair : plan.main_pairs(target)) add_interpolation(plan, target, pair);
    target.multi_label ? add_best(plan, target) : add_same_init(plan, target);
  }
  // Domains with the same classes.
  for (const TargetDomain& first : targets) {
    for (const TargetDomain& second : targets) {
      if (&first == &second || first.multi_label || second.multi_label) continue;
      const std::string a = plan.run_name(first, plan.main_run(first, Start::kFinetune));
      const std::string b = plan.run_name(second, plan.main_run(second, Start::kFinetune));
      add_interpolation(plan, first,
                        {"across-" + second.name, plan.run_folder(a), plan.run_folder(b), {a, b}},
                        true);
    }
  }
}

}  // namespace basin
