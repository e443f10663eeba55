// A State in a safetensors file, under PyTorch's names and layouts. docs/checkpoint.md is the
// format.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/safetensors.h"
#include "engine/state.h"

namespace basin {

// Whether the momentum of SGD travels with the values, under "momentum.<name>".
enum class Momentum { kWithout, kWith };

// Writes all parameters and buffers: convolution weights as OIHW, the rest as they are. Atomic.
void save_checkpoint(const State& state, const std::filesystem::path& path,
                     const std::map<std::string, std::string>& metadata,
                     Momentum momentum = Momentum::kWithout);

struct LoadOptions {
  // Names left alone: they keep their value in the state and may be missing from, or of another
  // shape in, the file. Fine-tuning loads all but {"fc.weight", "fc.bias"}.
  std::vector<std::string> skip;
  Momentum momentum = Momentum::kWithout;
};

// Reads a file written by save_checkpoint or saved from a PyTorch state dict: torchvision's
// ResNets, or the reference's Fixup networks with or without the "module." prefix of DataParallel.
// Strict: throws Error with the lists of missing and unexpected names and of differing shapes,
// before anything in the state changes. "num_batches_tracked" entries are accepted and ignored.
// Returns the file's metadata.
std::map<std::string, std::string> load_checkpoint(State& state, const std::filesystem::path& path,
                                                   const LoadOptions& options = {});
// The same from a file that is open already.
std::map<std::string, std::string> load_checkpoint(State& state, const SafetensorsReader& reader,
                                                   const LoadOptions& options = {});

}  // namespace basin
