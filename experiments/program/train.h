// Training: pre-training, fine-tuning, and training from random initialisation.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/sgd.h"
#include "experiments/program/command.h"
#include "experiments/program/session.h"

namespace basin {

struct TrainOptions {
  std::string model = "fixup_resnet20";
  int64_t width = 0;
  bool zero_fc_init = false;
  data::DataOptions data;  // its seed is the run's
  std::string init;        // checkpoint to start from (all but fc.*); empty: random
  int64_t epochs = 30;
  int64_t batch_size = 128;
  Schedule schedule;
  SgdOptions sgd;
  double mixup = 0;
  bool augment = false;
  int64_t block_shuffle = 0;  // side of the shuffled blocks; 0: none
  bool pixel_shuffle = false;
  uint64_t shuffle_seed = 1234;
  int64_t train_eval_size = 0;   // training images evaluated each epoch; 0: all
  int64_t test_every = 1;        // epochs between evaluations on test images
  int64_t checkpoint_every = 1;  // epochs between the checkpoints kept; 0: only first and last
  // The best checkpoint of a multi-label set is chosen on its validation images, or a tenth of its
  // training images held out. true: on the test images, as the paper's code does.
  bool select_on_test = false;
  uint64_t seed = 1;
  std::optional<uint64_t> init_seed;  // of the initial weights; none: seed
  std::filesystem::path out;
  bool resume = false;

  Options list();
};
Command train_command();

// One row of metrics.csv; fractions, NaN where not measured.
struct EpochMetrics {
  int64_t epoch = 0;
  double learning_rate = 0, train_loss = 0, train_score = 0, train_eval_loss = 0,
         train_eval_score = 0, test_loss = 0, test_score = 0, validation_loss = 0,
         validation_score = 0, seconds = 0, images_per_second = 0;
};

struct TrainResult {
  std::vector<EpochMetrics> epochs;  // epochs[0] is before the first update
  bool was_done = false;             // nothing was run: the folder held the finished run
};

// Runs training into options.out, or reads its result when it is done. With options.resume an
// unfinished run goes on where it was and ends with the same bits as one that was never stopped.
// Throws Interrupted after SIGINT or SIGTERM, with the state saved.
TrainResult train(const TrainOptions& options, Session& session);

// The options of the run in a folder, from its config.json. Throws Error where it does not say on
// which images the run was trained.
TrainOptions recorded_training(const std::filesystem::path& run);

// Where a run selects its best epoch by validation images that the set does not have, holds
// training images out for it: of multi-label sets, unless it selects by the test images (--paper).
void hold_out_validation(data::DataSplits& splits, bool select_on_test);

// The rows of a run's metrics.csv. Throws Error naming the file and line.
std::vector<EpochMetrics> read_metrics(const std::filesystem::path& folder);

}  // namespace basin
