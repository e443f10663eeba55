// Rewinding and re-drawing modules, one at a time.
#include "experiments/rewind/rewind.h"

#include <algorithm>

#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"

namespace basin {
namespace {

// Draws must differ from the weights any run started from, whatever its --seed.
constexpr uint64_t kDrawSeed = uint64_t{0x72616e646f6d} << 16;

}  // namespace

std::vector<RewindResult> rewind(Sweep& sweep, const std::vector<RewindTarget>& targets) {
  const std::vector<std::string>& modules = sweep.network().state().modules();
  std::vector<RewindResult> results = {{"none", "", 0, 0, 0}};
  std::vector<WeightSetting> settings = {{modules.back(), [](Network&) {}}};
  for (const RewindTarget& target : targets) {
    for (const std::string& module : modules) {
      results.push_back({module, target.to, target.draw, 0, 0});
      settings.push_back(
          {module, [&target, &module](Network& network) { target.write(network, module); }});
    }
  }
  const std::vector<Evaluation> evaluations = sweep.evaluate(settings);
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].loss = evaluations[i].loss;
    results[i].score = evaluations[i].score;
  }
  return results;
}

Options RewindOptions::list() {
  return Options{Option("--run", &run, "folder of a training run").required(),
                 {"--to-epoch", &to_epochs,
                  "checkpoints a,b,... to set back to; 0: before the first update", at_least(0)},
                 {"--random-draws", &random_draws,
                  "also set each module to this many draws of new initial weights", at_least(0)}} +
         test_data_options(data) + Options{out_option(out)};
}

void run_rewind(const RewindOptions& options, Session& session) {
  run_analysis("rewind", options, session, [&](const auto& open_folder) {
    const std::vector<int64_t> saved = saved_epochs(options.run);
    for (const int64_t epoch : options.to_epochs) {
      BASIN_CHECK(std::find(saved.begin(), saved.end(), epoch) != saved.end(), options.run.string(),
                  " has no checkpoint of epoch ", epoch, "; its last one is epoch ", saved.back());
    }
    const auto trained = load_network(options.run, "", session);
    const auto network = scratch_network(*trained, session, options.run);
    std::vector<std::unique_ptr<Network>> earlier;
    std::vector<RewindTarget> targets;
    for (const int64_t epoch : options.to_epochs) {
      earlier.push_back(load_network(epoch_checkpoint(options.run, epoch), "", session));
      targets.push_back({std::to_string(epoch), 0,
                         [from = earlier.back().get()](Network& to, const std::string& module) {
                           to.state().copy_module_from(from->state(), module);
                         }});
    }
    for (int64_t draw = 1; draw <= options.random_draws; ++draw) {
      targets.push_back({"random", draw, [draw](Network& to, const std::string& module) {
                           to.initialize_module(kDrawSeed + static_cast<uint64_t>(draw), module);
                         }});
    }
    const data::DataSplits splits = load_run_data(options.data, options.run, session);
    EvaluationSet set(splits.test, {.batch_size = kEvaluationBatch}, session);
    const auto statistics = statistics_set(*network, splits.train_evaluation, session);
    Sweep sweep(*network, trained->state(), set, statistics.get(), session);
    open_folder();
    CsvTable table({"module", "to", "draw", "loss", score_name(set.multi_label())});
    for (const RewindResult& row : rewind(sweep, targets)) {
      table.add_row({row.module, row.to, row.draw ? std::to_string(row.draw) : "",
                     csv_number(row.loss), csv_number(row.score)});
    }
    table.write(options.out / "rewind.csv");
  });
}

Command rewind_command() {
  return make_command<RewindOptions>(
      "set each module of a trained network back to an earlier checkpoint (paper, Fig. 5)",
      [](const RewindOptions& options, Session& session) {
        run_rewind(options, session);
        return printed_table(CsvTable::read(options.out / "rewind.csv"), {"module", "to"});
      });
}

}  // namespace basin
