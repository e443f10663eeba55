// The rows of the registry.
#include "experiments/registry.h"

#include "experiments/report/sections.h"

namespace basin {
namespace {

constexpr Experiment kExperiments[] = {
    {"curves", "Learning curves: P-T against RI-T", report::write_curves},
    {"shuffle", "Shuffled images: features or statistics", report::write_shuffle},
    {"mistakes", "Common and uncommon mistakes", report::write_mistakes},
    {"cka", "Feature similarity (CKA)", report::write_cka},
    {"distance", "Distances in parameter space", report::write_distance},
    {"interpolate", "Barriers between networks", report::write_interpolate},
    {"extent", "Extent of a basin", report::write_extent},
    {"rewind", "Rewinding one module", report::write_rewind},
    {"criticality", "Module criticality", report::write_criticality},
    {"spectrum", "Spectra of the weights", report::write_spectrum},
    {"checkpoints", "Fine-tuning from earlier checkpoints", report::write_checkpoints},
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
