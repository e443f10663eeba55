// Rewinds a network of each start.
#include "experiments/plan/paper_plan.h"
#include "experiments/rewind/rewind.h"

namespace basin {

void plan_rewind(PaperPlan& plan) {
  const Preset& preset = plan.preset();
  const double settings =
      static_cast<double>(preset.rewind_epochs.size()) + static_cast<double>(preset.random_draws);
  for (const TargetDomain& target : preset.targets) {
    for (const Start start : kStarts) {
      const std::string run = plan.run_name(target, plan.main_run(target, start));
      RewindOptions options;
      options.run = plan.run_folder(run);
      options.to_epochs = preset.rewind_epochs;
      options.random_draws = preset.random_draws;
      plan.add_analysis({.target = target,
                         .detail = name_of(start),
                         .needs = {run},
                         .images = (1 + static_cast<double>(plan.module_count()) * settings) *
                                   test_images(target)},
                        options, run_rewind);
    }
  }
}

}  // namespace basin
