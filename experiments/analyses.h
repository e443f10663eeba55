// What the analyses of trained networks share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/distance.h"
#include "experiments/run_folder.h"
#include "experiments/session.h"
#include "models/network.h"

namespace basin {

constexpr int64_t kSweepBatch = 200;  // images per pass

// Adds what of `data` an evaluation on its test images depends on.
void add_test_settings(const data::DataOptions& data, Settings& settings);

// `data` with the training images of a run: its split, size and seed.
data::DataOptions with_training_images(data::DataOptions data, const std::filesystem::path& run);

// A network of the same kind and size, for weights to be put into. `run`: where set, the run whose
// configuration says how weights are drawn at random.
std::unique_ptr<Network> scratch_network(const Network& like, Session& session,
                                         const std::filesystem::path& run = {});

// Distances of two checkpoints or run folders; with fc where both have the same classes.
std::vector<Distance> checkpoint_distances(const std::filesystem::path& a,
                                           const std::filesystem::path& b, const std::string& model,
                                           Session& session);

}  // namespace basin
