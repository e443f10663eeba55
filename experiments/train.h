// Training: pre-training, fine-tuning, and training from random initialisation.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/sgd.h"
#include "experiments/run_folder.h"
#include "experiments/session.h"

namespace basin {

struct TrainOptions {
  std::string model = "fixup_resnet20";
  int64_t width = 0;
  bool zero_fc_init = false;
  data::DataOptions data;
  std::string init;  // checkpoint to start from (all but fc.*); empty: random
  int64_t epochs = 30;
  int64_t batch_size = 128;
  Schedule schedule;
  SgdOptions sgd;
  double mixup = 0;
  bool augment = false;
  int64_t train_eval_size = 0;  // training images evaluated each epoch; 0: all
  uint64_t seed = 1;
  std::filesystem::path out;
  bool resume = false;

  Settings settings() const;  // all that changes results
  double images()
      const;  // cost: images seen in training and evaluation, training counted three times
};

// One row of metrics.csv; fractions, NaN where not measured.
struct EpochMetrics {
  int64_t epoch = 0;
  double learning_rate = 0, train_loss = 0, train_score = 0, train_eval_loss = 0,
         train_eval_score = 0, test_loss = 0, test_score = 0, seconds = 0, images_per_second = 0;
};

struct TrainResult {
  std::vector<EpochMetrics> epochs;  // epochs[0] is before the first update
  bool was_done = false;             // nothing was run: the folder held the finished run
};

// Runs training into options.out, or reads its result when it is done. With options.resume an
// unfinished run goes on where it was and ends with the same bits as one that was never stopped.
// Throws Interrupted after SIGINT or SIGTERM, with the state saved.
TrainResult train(const TrainOptions& options, Session& session);

// The rows of a run's metrics.csv. Throws Error naming the file and line.
std::vector<EpochMetrics> read_metrics(const std::filesystem::path& folder);

}  // namespace basin
