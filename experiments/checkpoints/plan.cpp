// The runs that fine-tune from earlier checkpoints of pre-training.
#include "experiments/plan/paper_plan.h"

namespace basin {

void plan_checkpoints(PaperPlan& plan) {
  const Preset& preset = plan.preset();
  for (const TargetDomain& target : preset.targets) {
    if (target.multi_label) continue;
    const size_t rates = preset.checkpoint_other_rates ? target.finetune.rates.size() : 1;
    for (size_t rate = 0; rate < rates; ++rate) {
      for (const int64_t epoch : preset.pretraining_checkpoints) {
        for (int64_t seed = 1; seed <= preset.checkpoint_seeds; ++seed) {
          TargetRun run = plan.main_run(target, Start::kFinetune, seed);
          run.rate = rate;
          if (epoch != preset.source.epochs) run.pretrained_epoch = epoch;
          plan.add_run(target, run);
        }
      }
    }
  }
}

}  // namespace basin
