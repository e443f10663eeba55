// Compares the spectra of a target's networks.
#include "experiments/plan/paper_plan.h"
#include "experiments/program/run_folder.h"
#include "experiments/spectrum/spectrum.h"

namespace basin {

void plan_spectrum(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    const std::string finetune = plan.run_name(target, plan.main_run(target, Start::kFinetune));
    const std::string randinit = plan.run_name(target, plan.main_run(target, Start::kRandinit));
    plan.add_analysis(
        {.target = target,
         .needs = {kPretraining, finetune, randinit},
         .images = 1,
         .run = [&plan, finetune, randinit](const std::filesystem::path& folder, Session& session) {
           SpectrumOptions options;
           options.networks = {{"pretrained", plan.run_folder(kPretraining)},
                               {"finetune", plan.run_folder(finetune)},
                               {"randinit", plan.run_folder(randinit)},
                               {"init", epoch_checkpoint(plan.run_folder(randinit), 0)}};
           options.out = folder;
           run_spectrum(options, session);
         }});
  }
}

}  // namespace basin
