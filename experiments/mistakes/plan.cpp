// Compares the mistakes of the main pairs.
#include "experiments/mistakes/mistakes.h"
#include "experiments/plan/paper_plan.h"

namespace basin {

void plan_mistakes(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    for (const NetworkPair& pair : plan.main_pairs(target)) {
      MistakesOptions options;
      options.a = pair.first;
      options.b = pair.second;
      plan.add_analysis({.target = target,
                         .detail = pair.name,
                         .needs = pair.needs,
                         .images = 2 * test_images(target)},
                        options, run_mistakes);
    }
  }
}

}  // namespace basin
