// The networks by name. A new network is a file that defines its family, and a row in registry.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/network.h"

namespace basin {

// Networks that one class makes. `make` may take any of `names`, not yet allocated.
struct NetworkFamily {
  std::vector<std::string> names;
  std::unique_ptr<Network> (*make)(const ModelOptions& options, DType dtype, Stream& stream);
};

// A network of the given name on `stream`, allocated for `use`, all values zero. `dtype`: of
// activations; see State. Throws Error listing the known names.
std::unique_ptr<Network> make_network(const ModelOptions& options, DType dtype, Stream& stream,
                                      State::Use use);

// All names make_network() knows.
std::vector<std::string> model_names();

}  // namespace basin
