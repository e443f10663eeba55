// Settings, data and networks of the analyses.
#include "experiments/program/analyses.h"
#include "models/registry.h"

#include "experiments/program/train.h"

namespace basin {

void check_classes(const Network& network, const data::Dataset& set) {
  BASIN_CHECK(network.options().classes == set.classes(), "the network has ",
              network.options().classes, " classes, ", set.name(), " has ", set.classes());
}

void run_analysis(const std::string& command, const Options& options,
                  const std::filesystem::path& out, Session& session,
                  const std::function<void(const std::function<void()>& open)>& work) {
  check_options(options);
  const Settings settings = settings_of(options);
  if (run_status(session, out, command, settings, true) == RunStatus::kDone) {
    session.log.message(out.string() + " is done already; nothing was run");
    return;
  }
  work([&] { open_run_folder(session, out, command, settings, true, false); });
  finish_run_folder(session, out);
}

data::DataSplits load_run_data(data::DataOptions data, const std::filesystem::path& run,
                               Session& session) {
  const TrainOptions trained = recorded_training(run);
  data.split = trained.data.split;
  data.train_size = trained.data.train_size;
  data.seed = trained.seed;
  data::DataSplits splits = session.load(data);
  hold_out_validation(splits, trained.select_on_test);
  return splits;
}

std::unique_ptr<Network> scratch_network(const Network& like, Session& session,
                                         const std::filesystem::path& run) {
  ModelOptions options = like.options();
  if (!run.empty()) options.zero_fc_init = recorded_training(run).zero_fc_init;
  return make_network(options, activation_dtype(session.precision), session.stream,
                      State::Use::kValuesOnly);
}

}  // namespace basin
