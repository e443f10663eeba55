// The runs on shuffled images, and those without augmentation that they are compared with.
#include "experiments/plan/paper_plan.h"

namespace basin {
namespace {

void add_shuffled_runs(PaperPlan& plan, const TargetDomain& target, Start start, size_t rate) {
  const Preset& preset = plan.preset();
  TargetRun run{.start = start, .rate = rate};
  for (run.seed = 1; run.seed <= preset.unshuffled_runs; ++run.seed) plan.add_run(target, run);
  for (run.seed = 1; run.seed <= preset.shuffle_permutations; ++run.seed) {
    for (const int64_t block : preset.shuffle_blocks) {
      run.block_shuffle = block;
      plan.add_run(target, run);
    }
  }
  run.block_shuffle = 0;
  run.pixel_shuffle = true;
  for (run.seed = 1; run.seed <= preset.shuffle_pixel_permutations; ++run.seed) {
    plan.add_run(target, run);
  }
}

}  // namespace

void plan_shuffle(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    if (target.multi_label) continue;
    for (const Start start : kStarts) {
      const size_t rates =
          plan.preset().shuffle_other_rates ? target.recipe(start).rates.size() : 1;
      for (size_t rate = 0; rate < rates; ++rate) add_shuffled_runs(plan, target, start, rate);
    }
  }
}

}  // namespace basin
