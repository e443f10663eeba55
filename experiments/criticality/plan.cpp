// Maps the criticality of a network of each start, on the targets that the preset names.
#include <algorithm>

#include "experiments/criticality/criticality.h"
#include "experiments/plan/paper_plan.h"

namespace basin {

void plan_criticality(PaperPlan& plan) {
  const Preset& preset = plan.preset();
  const auto& chosen = preset.criticality_targets;
  for (const TargetDomain& target : preset.targets) {
    if (std::find(chosen.begin(), chosen.end(), target.name) == chosen.end()) continue;
    const int64_t images =
        target.criticality_images ? target.criticality_images : target.size.train_images;
    const auto cells = static_cast<double>(2 * plan.module_count() * preset.criticality_distances *
                                           preset.criticality_noise_levels *
                                           std::max<int64_t>(5, preset.criticality_draws));
    for (const Start start : kStarts) {
      const std::string run = plan.run_name(target, plan.main_run(target, start));
      CriticalityOptions options;
      options.run = plan.run_folder(run);
      options.images = target.criticality_images;
      options.distances = preset.criticality_distances;
      options.noise_levels = preset.criticality_noise_levels;
      options.draws = preset.criticality_draws;
      // Training too long hurts on the multi-label target: there the end is the best checkpoint.
      options.end_point = target.multi_label ? "best" : "final";
      plan.add_analysis({.target = target,
                         .detail = name_of(start),
                         .needs = {run},
                         .images = cells * static_cast<double>(images),
                         .at_most = true},
                        options, run_criticality);
    }
  }
}

}  // namespace basin
