// What the analyses of trained networks share.
#pragma once

#include <filesystem>
#include <functional>
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

// Runs an analysis into `out`, unless it is done there. `work` loads what it needs, calls its
// argument, which opens the folder, and then computes and writes: a mistake in the options leaves
// no folder.
void run_analysis(const std::string& command, const Options& options,
                  const std::filesystem::path& out, Session& session,
                  const std::function<void(const std::function<void()>& open)>& work);
template <class Values>
void run_analysis(const std::string& command, Values values, Session& session,
                  const std::function<void(const std::function<void()>& open)>& work) {
  run_analysis(command, values.list(), values.out, session, work);
}

// The images of `data` with the training images of a run: its split, size and seed, less what it
// held out.
data::DataSplits load_run_data(data::DataOptions data, const std::filesystem::path& run,
                               Session& session);

// A network of the same kind and size, for weights to be put into. `run`: where set, the run whose
// configuration says how weights are drawn at random.
std::unique_ptr<Network> scratch_network(const Network& like, Session& session,
                                         const std::filesystem::path& run = {});

}  // namespace basin
