// The rows of the registry.
#include "experiments/registry.h"

#include "experiments/cka/cka.h"
#include "experiments/criticality/criticality.h"
#include "experiments/distance/distance.h"
#include "experiments/extent/extent.h"
#include "experiments/interpolate/interpolate.h"
#include "experiments/mistakes/mistakes.h"
#include "experiments/report/sections.h"
#include "experiments/rewind/rewind.h"
#include "experiments/spectrum/spectrum.h"

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
    {"curves", "Learning curves: P-T against RI-T", 0, plan_curves, report::write_curves, nullptr},
    {"shuffle", "Shuffled images: features or statistics", 8, plan_shuffle, report::write_shuffle,
     nullptr},
    {"mistakes", "Common and uncommon mistakes", 3, plan_mistakes, report::write_mistakes,
     mistakes_command},
    {"cka", "Feature similarity (CKA)", 4, plan_cka, report::write_cka, cka_command},
    {"distance", "Distances in parameter space", 7, plan_distance, report::write_distance,
     distance_command},
    {"interpolate", "Barriers between networks", 1, plan_interpolate, report::write_interpolate,
     interpolate_command},
    {"extent", "Extent of a basin", 2, plan_extent, report::write_extent, extent_command},
    {"rewind", "Rewinding one module", 5, plan_rewind, report::write_rewind, rewind_command},
    {"criticality", "Module criticality", 5, plan_criticality, report::write_criticality,
     criticality_command},
    {"spectrum", "Spectra of the weights", 6, plan_spectrum, report::write_spectrum,
     spectrum_command},
    {"checkpoints", "Fine-tuning from earlier checkpoints", 9, plan_checkpoints,
     report::write_checkpoints, nullptr},
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
