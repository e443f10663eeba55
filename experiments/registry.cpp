// The rows of the registry.
#include "experiments/registry.h"

#include "experiments/report/sections.h"

namespace basin {

// Each in plan.cpp of its experiment's folder.
void plan_curves(PaperPlan&);
void plan_shuffle(PaperPlan&);
void plan_mistakes(PaperPlan&);
void plan_cka(PaperPlan&);
void plan_distance(PaperPlan&);
void plan_interpolate(PaperPlan&);
void plan_extent(PaperPlan&);
void plan_rewind(PaperPlan&);
void plan_criticality(PaperPlan&);
void plan_spectrum(PaperPlan&);
void plan_checkpoints(PaperPlan&);

namespace {

constexpr Experiment kExperiments[] = {
    {"curves", "Learning curves: P-T against RI-T", 0, plan_curves, report::write_curves},
    {"shuffle", "Shuffled images: features or statistics", 8, plan_shuffle, report::write_shuffle},
    {"mistakes", "Common and uncommon mistakes", 3, plan_mistakes, report::write_mistakes},
    {"cka", "Feature similarity (CKA)", 4, plan_cka, report::write_cka},
    {"distance", "Distances in parameter space", 7, plan_distance, report::write_distance},
    {"interpolate", "Barriers between networks", 1, plan_interpolate, report::write_interpolate},
    {"extent", "Extent of a basin", 2, plan_extent, report::write_extent},
    {"rewind", "Rewinding one module", 5, plan_rewind, report::write_rewind},
    {"criticality", "Module criticality", 5, plan_criticality, report::write_criticality},
    {"spectrum", "Spectra of the weights", 6, plan_spectrum, report::write_spectrum},
    {"checkpoints", "Fine-tuning from earlier checkpoints", 9, plan_checkpoints,
     report::write_checkpoints},
};

}  // namespace

std::span<const Experiment> experiments() {
  return kExperiments;
}

std::vector<std::string> experiment_names() {
  std::vector<std::string> names;
  for (const Experiment& experiment : kExperiments) names.emplace_back(experiment.name);
  return names;
}

}  // namespace basin
