// Distances per module and in all.
#include "experiments/distance/distance.h"
#include "models/registry.h"

#include <cmath>

#include "engine/checkpoint.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/model_file.h"

namespace basin {

std::vector<Distance> distances(const State& a, const State& b, bool with_fc) {
  const std::vector<double> between = a.module_distances(b);
  const std::vector<double> norms_a = a.module_norms(), norms_b = b.module_norms();
  const std::vector<std::string>& modules = a.modules();
  auto total = [&](const std::string& name, bool fc) {
    Distance sum{name, 0, 0, 0};
    for (size_t i = 0; i < modules.size(); ++i) {
      if (!fc && modules[i] == "fc") continue;
      sum.distance += between[i] * between[i];
      sum.norm_a += norms_a[i] * norms_a[i];
      sum.norm_b += norms_b[i] * norms_b[i];
    }
    return Distance{name, std::sqrt(sum.distance), std::sqrt(sum.norm_a), std::sqrt(sum.norm_b)};
  };
  std::vector<Distance> result;
  if (with_fc) result.push_back(total("all", true));
  result.push_back(total("all_but_fc", false));
  for (size_t i = 0; i < modules.size(); ++i) {
    if (!with_fc && modules[i] == "fc") continue;
    result.push_back({modules[i], between[i], norms_a[i], norms_b[i]});
  }
  return result;
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
  const auto reshaped =
      make_network(network_a->options(), DType::kF32, session.stream, State::Use::kValuesOnly);
  load_checkpoint(reshaped->state(), checkpoint_path(b),
                  {.skip = {"fc.weight", "fc.bias"}, .momentum = Momentum::kWithout});
  return distances(network_a->state(), reshaped->state(), false);
}

std::vector<ScaledDistance> scale_distances(const std::vector<Distance>& rows, const State& state) {
  std::vector<ScaledDistance> scaled;
  for (const Distance& row : rows) {
    int64_t parameters = 0;
    for (const State::Entry& entry : state.entries()) {
      if (entry.buffer) continue;
      const bool part = row.module == "all" || row.module == entry.module ||
                        (row.module == "all_but_fc" && entry.module != "fc");
      if (part) parameters += entry.shape.elements();
    }
    scaled.push_back({row, parameters, row.distance / row.norm_b,
                      row.distance / std::sqrt(static_cast<double>(parameters))});
  }
  return scaled;
}

Options DistanceOptions::list() {
  return {Option("a", &a, "checkpoint or run folder").required(),
          Option("b", &b, "checkpoint or run folder; 'relative' is to its norm").required(),
          model_option(model),
          Option("--out", &out, "folder of the result; none: it is only printed").not_recorded()};
}

CsvTable run_distance(const DistanceOptions& options, Session& session) {
  const auto network = load_network(options.a, options.model, session.stream);
  CsvTable table(
      {"module", "distance", "norm_a", "norm_b", "parameters", "relative", "per_root_parameter"});
  for (const ScaledDistance& row : scale_distances(
           checkpoint_distances(options.a, options.b, options.model, session), network->state())) {
    table.add_row({row.raw.module, csv_number(row.raw.distance), csv_number(row.raw.norm_a),
                   csv_number(row.raw.norm_b), std::to_string(row.parameters),
                   csv_number(row.relative), csv_number(row.per_root_parameter)});
  }
  if (!options.out.empty()) {
    run_analysis("distance", options, session, [&](const auto& open_folder) {
      open_folder();
      table.write(options.out / "distance.csv");
    });
  }
  return table;
}

Command distance_command() {
  return make_command<DistanceOptions>(
      "l2 distance of two networks, whole and per module (paper, Table 2)",
      [](const DistanceOptions& options, Session& session) {
        return printed_rows(run_distance(options, session),
                            {{"module", "module", 12, PrintedColumn::kText},
                             {"distance", "distance", 12, 5},
                             {"norm_a", "norm a", 12, 5},
                             {"norm_b", "norm b", 12, 5},
                             {"parameters", "parameters", 10, 0},
                             {"relative", "relative", 10, 5},
                             {"per_root_parameter", "per sqrt(numel)", 18, 7}});
      });
}

}  // namespace basin
