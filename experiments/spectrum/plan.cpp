// Compares the spectra of a target's networks.
#include "experiments/plan/paper_plan.h"
#include "experiments/program/run_folder.h"
#include "experiments/spectrum/spectrum.h"

namespace basin {

void plan_spectrum(PaperPlan& plan) {
  for (const TargetDomain& target : plan.preset().targets) {
    const std::string finetune = plan.run_name(target, plan.main_run(target, Start::kFinetune));
    const std::string randinit = plan.run_name(target, plan.main_run(target, Start::kRandinit));
    const std::string random = plan.run_folder(randinit).string();
    SpectrumOptions options;
    options.networks = {"pretrained=" + plan.run_folder(kPretraining).string(),
                        "finetune=" + plan.run_folder(finetune).string(), "randinit=" + random,
                        "init=" + epoch_checkpoint(random, 0).string()};
    plan.add_analysis({.target = target, .needs = {kPretraining, finetune, randinit}, .images = 1},
                      options, run_spectrum);
  }
}

}  // namespace basin
