// Settings, data and networks of the analyses.
#include "experiments/program/analyses.h"
#include "models/registry.h"

#include "experiments/program/train.h"

namespace basin {
namespace {

// The settings of a training run.
std::map<std::string, std::string> training_settings(const std::filesystem::path& run) {
  auto settings = read_settings(run);
  BASIN_CHECK(settings["command"] == "train", run.string(), " is not the folder of a training run");
  return settings;
}

}  // namespace

void check_classes(const Network& network, const data::Dataset& set) {
  BASIN_CHECK(network.options().classes == set.classes(), "the network has ",
              network.options().classes, " classes, ", set.name(), " has ", set.classes());
}

void add_test_settings(const data::DataOptions& data, Settings& settings) {
  settings.insert(settings.end(), {{"data", data.spec},
                                   {"data-dir", data.data_dir},
                                   {"image-size", std::to_string(data.image_size)},
                                   {"test-size", std::to_string(data.test_size)},
                                   {"skip-bad", data.skip_bad ? "true" : "false"}});
}

data::DataSplits load_run_data(data::DataOptions data, const std::filesystem::path& run,
                               Session& session) {
  const auto settings = training_settings(run);
  bool select_on_test = false;
  try {
    data.split = settings.at("split");
    data.train_size = std::stoll(settings.at("train-size"));
    data.seed = std::stoull(settings.at("seed"));
    // Runs from before this setting existed held no images out either.
    const auto paper = settings.find("paper");
    select_on_test = paper == settings.end() || paper->second == "true";
  } catch (const std::logic_error&) {
    throw Error(concat((run / "config.json").string(),
                       " does not say which training images were used (split, train-size, seed)"));
  }
  data::DataSplits splits = session.load(data);
  hold_out_validation(splits, select_on_test);
  return splits;
}

std::unique_ptr<Network> scratch_network(const Network& like, Session& session,
                                         const std::filesystem::path& run) {
  ModelOptions options = like.options();
  if (!run.empty()) options.zero_fc_init = training_settings(run)["zero-fc-init"] == "true";
  return make_network(options, activation_dtype(session.precision), session.stream,
                      State::Use::kValuesOnly);
}

}  // namespace basin
