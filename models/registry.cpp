// The families of networks.
#include "models/registry.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace basin {

// A row for each family: a function defined in the file of its name.
NetworkFamily fixup_resnets(), resnets();

namespace {

std::vector<NetworkFamily> families() {
  return {fixup_resnets(), resnets()};
}

}  // namespace

std::unique_ptr<Network> make_network(const ModelOptions& options, DType dtype, Stream& stream,
                                      State::Use use) {
  BASIN_CHECK(options.classes >= 1, "a network needs at least one class, got ", options.classes);
  BASIN_CHECK(options.width >= 0 && options.width <= 4096, "--width must be in 0..4096, got ",
              options.width);
  for (const NetworkFamily& family : families()) {
    if (std::find(family.names.begin(), family.names.end(), options.name) == family.names.end()) {
      continue;
    }
    auto network = family.make(options, dtype, stream);
    network->state().allocate(use);
    return network;
  }
  std::string known;
  for (const std::string& name : model_names()) known += (known.empty() ? "" : ", ") + name;
  throw Error(concat("no model is named '", options.name, "'; known: ", known));
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const NetworkFamily& family : families()) {
    names.insert(names.end(), family.names.begin(), family.names.end());
  }
  return names;
}

}  // namespace basin
