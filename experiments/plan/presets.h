// The presets of `basin paper`: which networks are trained, on what data and how, and how finely
// they are analysed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/start.h"

namespace basin {

// A learning rate. The paper gives its rates for batches of 256 and scales them by the batch size;
// `label`, which names runs and figures, is the rate before scaling.
struct Rate {
  std::string label;
  double value = 0;
};

// How a network is trained from one kind of start.
struct Recipe {
  int64_t epochs = 0, batch_size = 0;
  std::vector<int64_t> milestones = {};  // none: a constant rate
  std::vector<Rate> rates = {};          // the first is the main one, which analyses use
  double mixup = 0;
  bool augment = false;
};

// What the cost of a run depends on, known before its data are read.
struct DataSize {
  int64_t image_side = 32, classes = 10, train_images = 0, test_images = 0;
};

struct TargetDomain {
  std::string name;  // "photo"
  data::DataOptions data;
  DataSize size;
  bool multi_label = false;
  Recipe finetune, randinit;
  int64_t criticality_images = 0;  // training images that criticality looks at; 0: all

  const Recipe& recipe(Start start) const {
    return start == Start::kFinetune ? finetune : randinit;
  }
};

struct Preset {
  std::string name, title, model;
  data::DataOptions source_data;
  DataSize source_size;
  Recipe source;
  int64_t source_train_eval = 0;  // training images evaluated each epoch; 0: all
  std::vector<TargetDomain> targets;
  int64_t seeds = 0;             // runs at the main rate, of each start on each target
  int64_t other_rate_seeds = 0;  // the same at each other rate
  int64_t train_eval = 0;        // training images evaluated each epoch; 0: all
  int64_t test_every = 1;        // epochs between evaluations on the test images

  // Shuffling, on targets with one label an image: sides of the blocks in pixels; pixel shuffling
  // ("*" in the paper's figure) is added. Permutation seeds are 1234, 1235, ...
  std::vector<int64_t> shuffle_blocks;
  int64_t shuffle_permutations = 0;        // of blocks
  int64_t shuffle_pixel_permutations = 0;  // of all values; no claim is about them
  int64_t unshuffled_runs = 0;             // without augmentation, for the comparison
  bool shuffle_other_rates = false;        // also at the other rates

  // Fine-tuning from these epochs of pre-training; the last epoch's runs are the ordinary ones.
  std::vector<int64_t> pretraining_checkpoints;
  int64_t checkpoint_seeds = 0;
  bool checkpoint_other_rates = false;

  int64_t interpolation_points = 0;
  std::vector<int64_t> rewind_epochs;
  int64_t random_draws = 0;
  int64_t criticality_distances = 0, criticality_noise_levels = 0, criticality_draws = 0;
  std::vector<std::string> criticality_targets;
  double extent_step = 0;
  int64_t extent_noise_draws = 0;
};

// Folders of data.
struct PresetData {
  std::string fashion;                        // empty: where Debian installs it
  std::string imagenet, domainnet, chexpert;  // for "paper"; may be empty for a dry run
};

// "smoke", "demo" or "paper". Throws Error with the known names.
Preset preset_of(const std::string& name, const PresetData& data);

// The preset's settings as JSON: two presets with the same text make the same plan. Results folders
// keep it, so old ones can be compared: neither rename nor remove a key.
std::string preset_text(const Preset& preset);

}  // namespace basin
