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
           const std::filesystem::path start = plan.run_folder(randinit);
           options.networks = {"pretrained=" + plan.run_folder(kPretraining).string(),
                               "finetune=" + plan.run_folder(finetune).string(),
                               "randinit=" + start.string(),
                               "init=" + epoch_checkpoint(start, 0).string()};
           options.out = folder;
           run_spectrum(options, session);
         }});
  }
}

}  // namespace basin
