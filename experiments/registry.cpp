// The rows of the registry.
#include "experiments/registry.h"

#include "experiments/program/command.h"

// name, heading, turn, command (nullptr: `paper --only <name>`).
#define BASIN_EXPERIMENTS(ROW)                                          \
  ROW(curves, "Learning curves: P-T against RI-T", 0, nullptr)          \
  ROW(shuffle, "Shuffled images: features or statistics", 8, nullptr)   \
  ROW(mistakes, "Common and uncommon mistakes", 3, mistakes_command)    \
  ROW(cka, "Feature similarity (CKA)", 4, cka_command)                  \
  ROW(distance, "Distances in parameter space", 7, distance_command)    \
  ROW(interpolate, "Barriers between networks", 1, interpolate_command) \
  ROW(extent, "Extent of a basin", 2, extent_command)                   \
  ROW(rewind, "Rewinding one module", 5, rewind_command)                \
  ROW(criticality, "Module criticality", 5, criticality_command)        \
  ROW(spectrum, "Spectra of the weights", 6, spectrum_command)          \
  ROW(checkpoints, "Fine-tuning from earlier checkpoints", 9, nullptr)

// In the experiment's folder: <name>.cpp, plan.cpp and section.cpp.
#define BASIN_DECLARE(name, heading, turn, command) \
  Command name##_command();                         \
  void plan_##name(PaperPlan&);                     \
  namespace report {                                \
  void write_##name(Results&, Section&);            \
  }
#define BASIN_ROW(name, heading, turn, command) \
  {#name, heading, turn, plan_##name, report::write_##name, command},

namespace basin {

BASIN_EXPERIMENTS(BASIN_DECLARE)

namespace {

constexpr Experiment kExperiments[] = {BASIN_EXPERIMENTS(BASIN_ROW)};

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
