// Compares the features of the main pairs, and of the fine-tuned network with the pre-trained one.
#include "experiments/cka/cka.h"
#include "experiments/plan/paper_plan.h"

namespace basin {

void plan_cka(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    std::vector<NetworkPair> pairs = plan.main_pairs(target);
    const std::string finetune = plan.run_name(target, plan.main_run(target, Start::kFinetune));
    pairs.push_back({"finetune-pretrained",
                     plan.run_folder(finetune),
                     plan.run_folder(kPretraining),
                     {finetune, kPretraining}});
    for (const NetworkPair& pair : pairs) {
      CkaOptions options;
      options.a = pair.first;
      options.b = pair.second;
      plan.add_analysis({.target = target,
                         .detail = pair.name,
                         .needs = pair.needs,
                         .images = 2 * test_images(target)},
                        options, run_cka);
    }
  }
}

}  // namespace basin
