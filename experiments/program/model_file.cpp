// Networks from checkpoint files.
#include "experiments/program/model_file.h"

#include "engine/checkpoint.h"
#include "models/registry.h"

namespace basin {

namespace {

ModelOptions model_of(const SafetensorsReader& reader, const std::string& model) {
  const std::filesystem::path& path = reader.path();
  ModelOptions options;
  options.name = model;
  if (model.empty()) {
    const auto it = reader.metadata().find("model");
    BASIN_CHECK(it != reader.metadata().end(), path.string(),
                " does not say which model it holds; name it with --model");
    options.name = it->second;
  }
  auto shape_of = [&](const std::string& name) {
    const TensorInfo* info = reader.find(name);
    if (!info) info = reader.find("module." + name);
    BASIN_CHECK(info && !info->shape.empty(), path.string(), " has no tensor ", name,
                ": it is not a ", options.name);
    return info->shape;
  };
  options.classes = shape_of("fc.weight")[0];
  options.width = shape_of("conv1.weight")[0];
  return options;
}

}  // namespace

std::filesystem::path checkpoint_path(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path;
  return path / "checkpoints" / "last.safetensors";
}

std::unique_ptr<Network> load_network(const std::filesystem::path& path, const std::string& model,
                                      Stream& stream, State::Use use, DType dtype) {
  const SafetensorsReader reader(checkpoint_path(path));
  auto network = make_network(model_of(reader, model), dtype, stream, use);
  load_checkpoint(network->state(), reader);
  return network;
}

std::unique_ptr<Network> load_network(const std::filesystem::path& path, const std::string& model,
                                      Session& session) {
  return load_network(path, model, session.stream, State::Use::kValuesOnly,
                      activation_dtype(session.precision));
}

}  // namespace basin
