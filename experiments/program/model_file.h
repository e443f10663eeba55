// Networks from checkpoint files.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "experiments/program/session.h"
#include "models/network.h"

namespace basin {

// A network that holds the file's weights. `path` may also be a run folder: its last checkpoint is
// taken. `model`: the network's name; empty: as the file says. Classes and width are those of its
// tensors. `dtype`: as make_network(). Throws Error when no model is known.
std::unique_ptr<Network> load_network(const std::filesystem::path& path, const std::string& model,
                                      Stream& stream, State::Use use = State::Use::kValuesOnly,
                                      DType dtype = DType::kF32);
// For evaluation on the session's device, in its precision.
std::unique_ptr<Network> load_network(const std::filesystem::path& path, const std::string& model,
                                      Session& session);

// The checkpoint meant by `path`: itself, or checkpoints/last.safetensors of a run folder.
std::filesystem::path checkpoint_path(const std::filesystem::path& path);

}  // namespace basin
