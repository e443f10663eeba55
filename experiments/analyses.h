// Analyses of trained networks with their folders: what the commands and the plan run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/distance.h"
#include "experiments/run_folder.h"
#include "experiments/session.h"
#include "models/network.h"

namespace basin {

// Images per pass of an evaluation.
constexpr int64_t kEvaluationBatch = 200;

// Throws Error unless the network has as many outputs as the set has classes.
void check_classes(const Network& network, const data::Dataset& set);
// Adds what of `data` an evaluation on its test images depends on.
void add_test_settings(const data::DataOptions& data, Settings& settings);

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

}  // namespace basin
