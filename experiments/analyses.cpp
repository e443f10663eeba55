// Settings, data and networks of the analyses.
#include "experiments/analyses.h"

#include "engine/checkpoint.h"
#include "experiments/model_file.h"

namespace basin {
namespace {

// The settings of a training run.
std::map<std::string, std::string> training_settings(const std::filesystem::path& run) {
  auto settings = read_settings(run);
  BASIN_CHECK(settings["command"] == "train", run.string(), " is not the folder of a training run");
  return settings;
}

}  // namespace

void add_test_settings(const data::DataOptions& data, Settings& settings) {
  settings.insert(settings.end(), {{"data", data.spec},
                                   {"data-dir", data.data_dir},
                                   {"image-size", std::to_string(data.image_size)},
                                   {"test-size", std::to_string(data.test_size)},
                                   {"skip-bad", data.skip_bad ? "true" : "false"}});
}

data::DataOptions with_training_images(data::DataOptions data, const std::filesystem::path& run) {
  const auto settings = training_settings(run);
  try {
    data.split = settings.at("split");
    data.train_size = std::stoll(settings.at("train-size"));
    data.seed = std::stoull(settings.at("seed"));
  } catch (const std::logic_error&) {
    throw Error(concat((run / "config.json").string(),
                       " does not say which training images were used (split, train-size, seed)"));
  }
  return data;
}

std::unique_ptr<Network> scratch_network(const Network& like, Session& session,
                                         const std::filesystem::path& run) {
  ModelOptions options = like.options();
  if (!run.empty()) options.zero_fc_init = training_settings(run)["zero-fc-init"] == "true";
  return make_network(options, DType::kF32, session.stream, State::Use::kValuesOnly);
}

std::vector<Distance> checkpoint_distances(const std::filesystem::path& a,
                                           const std::filesystem::path& b, const std::string& model,
                                           Session& session) {
  const auto network_a = load_network(a, model, session.stream);
  const auto network_b = load_network(b, model, session.stream);
  if (network_a->options().classes == network_b->options().classes) {
    return distances(network_a->state(), network_b->state(), true);
  }
  // Another number of classes: b's weights are loaded into a network with a's fc, which then is not
  // compared.
  const auto reshaped = scratch_network(*network_a, session);
  load_checkpoint(reshaped->state(), checkpoint_path(b),
                  {.skip = {"fc.weight", "fc.bias"}, .momentum = Momentum::kWithout});
  return distances(network_a->state(), reshaped->state(), false);
}

}  // namespace basin
