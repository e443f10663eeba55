// What the analyses of trained networks share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/run_folder.h"
#include "experiments/program/session.h"
#include "models/network.h"

namespace basin {

// Images per pass of an evaluation.
constexpr int64_t kEvaluationBatch = 200;

// Throws Error unless the network has as many outputs as the set has classes.
void check_classes(const Network& network, const data::Dataset& set);

// Adds what of `data` an evaluation on its test images depends on.
void add_test_settings(const data::DataOptions& data, Settings& settings);

// The images of `data` with the training images of a run: its split, size and seed, less what it
// held out.
data::DataSplits load_run_data(data::DataOptions data, const std::filesystem::path& run,
                               Session& session);

// A network of the same kind and size, for weights to be put into. `run`: where set, the run whose
// configuration says how weights are drawn at random.
std::unique_ptr<Network> scratch_network(const Network& like, Session& session,
                                         const std::filesystem::path& run = {});

}  // namespace basin
