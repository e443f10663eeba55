// Networks from checkpoint files: which model a file holds, and loading it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "experiments/program/session.h"
#include "models/network.h"

namespace basin {

// What a checkpoint says of its network: the model of its metadata, or `model` when given; classes
// and width from the shapes of fc.weight and conv1.weight. Throws Error when no model is known or
// they are missing.
ModelOptions model_of_checkpoint(const std::filesystem::path& path, const std::string& model);

// A network holding the file's weights; `path` may also be a run folder, whose last checkpoint is
// taken. `dtype`: as make_network().
std::unique_ptr<Network> load_network(const std::filesystem::path& path, const std::string& model,
                                      Stream& stream, State::Use use = State::Use::kValuesOnly,
                                      DType dtype = DType::kF32);
// For evaluation on the session's device, in its precision.
std::unique_ptr<Network> load_network(const std::filesystem::path& path, const std::string& model,
                                      Session& session);

// The checkpoint meant by `path`: itself, or checkpoints/last.safetensors of a run folder.
std::filesystem::path checkpoint_path(const std::filesystem::path& path);

}  // namespace basin
