// The runs of the learning curves: both starts on every target, at all learning rates.
#include "experiments/plan/paper_plan.h"

namespace basin {

void plan_curves(PaperPlan& plan) {
  const Preset& preset = plan.preset();
  for (const TargetDomain& target : preset.targets) {
    for (const Start start : kStarts) {
      for (size_t rate = 0; rate < target.recipe(start).rates.size(); ++rate) {
        const int64_t seeds = rate == 0 ? preset.seeds : preset.other_rate_seeds;
        for (int64_t seed = 1; seed <= seeds; ++seed) {
          TargetRun run = plan.main_run(target, start, seed);
          run.rate = rate;
          plan.add_run(target, run);
        }
      }
    }
  }
}

}  // namespace basin
