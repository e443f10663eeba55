// Analyses: networks loaded, numbers computed, tables written.
#include "experiments/analyses.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/csv.h"
#include "experiments/evaluate.h"
#include "experiments/interpolate.h"
#include "experiments/model_file.h"
#include "experiments/rewind.h"
#include "experiments/run_folder.h"

namespace basin {

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

void run_interpolate(const InterpolateOptions& options, Session& session) {
  BASIN_CHECK(options.range.size() == 2, "--range must be low,high");
  Settings settings = {
      {"from", options.from.string()},
      {"to", options.to.string()},
      {"model", options.model},
      {"points", std::to_string(options.points)},
      {"range", csv_number(options.range[0]) + "," + csv_number(options.range[1])}};
  add_test_settings(options.data, settings);
  if (run_status(options.out, "interpolate", settings, true) == RunStatus::kDone) {
    session.log.message(options.out.string() + " is done already; nothing was run");
    return;
  }
  const auto a = load_network(options.from, options.model, session.stream);
  const auto b = load_network(options.to, options.model, session.stream);
  const auto network =
      make_network(a->options(), DType::kF32, session.stream, State::Use::kValuesOnly);
  const auto test = session.load(options.data).test;
  check_classes(*network, *test);
  open_run_folder(session, options.out, "interpolate", settings, true, false);
  if (network->has_batch_norm()) {
    session.log.message(
        "warning: this network has batch norm, and its running statistics are interpolated like "
        "weights; "
        "points between the ends may look worse than they are");
  }
  EvaluationSet set(test, {.batch_size = kEvaluationBatch}, session);
  const auto points = interpolate(*network, a->state(), b->state(), set, options.points,
                                  options.range[0], options.range[1], session);
  const std::string score = score_name(set.multi_label());
  CsvTable table({"lambda", "loss", score});
  for (const InterpolationPoint& point : points) {
    table.add_row({csv_number(point.lambda), csv_number(point.loss), csv_number(point.score)});
  }
  table.write(options.out / "interpolation.csv");
  nlohmann::ordered_json json;
  if (!options.kind.empty()) json["kind"] = options.kind;
  if (!options.target.empty()) json["target"] = options.target;
  json["a"] = options.from.string();
  json["b"] = options.to.string();
  json["images"] = set.size();
  auto has_point = [&](double lambda) {
    return std::any_of(points.begin(), points.end(),
                       [&](const InterpolationPoint& point) { return point.lambda == lambda; });
  };
  if (has_point(0) && has_point(1)) {
    const Barrier barrier = barrier_of(points);
    json["barrier_" + score] = barrier.score;
    json["barrier_loss"] = barrier.loss;
  }
  write_file_atomically(options.out / "result.json", json.dump(2) + "\n");
  finish_run_folder(session, options.out);
}

void run_rewind(const RewindOptions& options, Session& session) {
  Settings settings = {{"run", options.run.string()},
                       {"to-epoch", std::to_string(options.to_epoch)}};
  add_test_settings(options.data, settings);
  const std::vector<int64_t> epochs = saved_epochs(options.run);
  BASIN_CHECK(std::find(epochs.begin(), epochs.end(), options.to_epoch) != epochs.end(),
              options.run.string(), " has no checkpoint of epoch ", options.to_epoch,
              "; its last one is epoch ", epochs.back());
  if (run_status(options.out, "rewind", settings, true) == RunStatus::kDone) {
    session.log.message(options.out.string() + " is done already; nothing was run");
    return;
  }
  const auto trained = load_network(options.run, "", session.stream);
  const auto earlier =
      load_network(epoch_checkpoint(options.run, options.to_epoch), "", session.stream);
  const auto network =
      make_network(trained->options(), DType::kF32, session.stream, State::Use::kValuesOnly);
  const auto test = session.load(options.data).test;
  check_classes(*network, *test);
  open_run_folder(session, options.out, "rewind", settings, true, false);
  EvaluationSet set(test, {.batch_size = kEvaluationBatch}, session);
  const std::string score = score_name(set.multi_label());
  CsvTable table({"module", "loss", score});
  for (const RewindResult& row :
       rewind(*network, trained->state(), earlier->state(), set, session)) {
    table.add_row({row.module, csv_number(row.loss), csv_number(row.score)});
  }
  table.write(options.out / "rewind.csv");
  finish_run_folder(session, options.out);
}

}  // namespace basin
