// Analyses of trained networks with their folders: what the commands and the plan run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/distance.h"
#include "experiments/session.h"

namespace basin {

struct InterpolateOptions {
  std::filesystem::path from, to;  // checkpoints or run folders
  data::DataOptions data;
  std::string model;
  int64_t points = 21;
  std::vector<double> range = {0, 1};
  std::filesystem::path out;
  std::string kind, target;  // labels for the report, e.g. "finetune-finetune", "photo"
};

// Writes interpolation.csv (lambda, loss, accuracy|auc) and result.json, with the barriers when
// lambda 0 and 1 are among the points. A
// finished folder of the same settings is left as it is. Networks with batch norm are interpolated
// with their running statistics, and a warning says so.
void run_interpolate(const InterpolateOptions& options, Session& session);

struct RewindOptions {
  std::filesystem::path run;  // folder of a training run; its last checkpoint is rewound
  data::DataOptions data;
  int64_t to_epoch = 0;
  std::filesystem::path out;
};

// Writes rewind.csv (module, loss, accuracy|auc). A finished folder is left as it is.
void run_rewind(const RewindOptions& options, Session& session);

// Distances of two checkpoints or run folders; with fc where both have the same classes.
std::vector<Distance> checkpoint_distances(const std::filesystem::path& a,
                                           const std::filesystem::path& b, const std::string& model,
                                           Session& session);

}  // namespace basin
