// The subcommands that compare networks: distance, features, mistakes, singular values.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/cka/cka.h"
#include "experiments/distance/distance.h"
#include "experiments/mistakes/mistakes.h"
#include "experiments/program/commands.h"
#include "experiments/program/csv.h"
#include "experiments/spectrum/spectrum.h"

namespace basin {
namespace {

using Json = nlohmann::ordered_json;

double number(const CsvTable& table, size_t row, const char* column) {
  return table.number(row, column).value_or(std::nan(""));
}

}  // namespace

void add_distance_command(CLI::App& app, const CommonOptions& common, Session& session,
                          std::function<void()>& command) {
  auto options = std::make_shared<DistanceOptions>();
  CLI::App* sub = app.add_subcommand(
      "distance", "l2 distance of two networks, whole and per module (paper, Table 2)");
  sub->add_option("a", options->a, "checkpoint or run folder")->required();
  sub->add_option("b", options->b, "checkpoint or run folder; 'relative' is to its norm")
      ->required();
  add_model(sub, options->model);
  sub->add_option("--out", options->out, "folder of the result; none: it is only printed");
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      Json json = Json::array();
      std::string text = fmt::format("{:<12} {:>12} {:>12} {:>12} {:>10} {:>18}\n", "module",
                                     "distance", "norm a", "norm b", "relative", "per sqrt(numel)");
      for (const ScaledDistance& row : run_distance(*options, session)) {
        json.push_back({{"module", row.raw.module},
                        {"distance", row.raw.distance},
                        {"norm_a", row.raw.norm_a},
                        {"norm_b", row.raw.norm_b},
                        {"parameters", row.parameters},
                        {"relative", row.relative},
                        {"per_root_parameter", row.per_root_parameter}});
        text += fmt::format("{:<12} {:>12.5f} {:>12.5f} {:>12.5f} {:>10.5f} {:>18.7f}\n",
                            row.raw.module, row.raw.distance, row.raw.norm_a, row.raw.norm_b,
                            row.relative, row.per_root_parameter);
      }
      print(common, json, text);
    };
  });
}

void add_cka_command(CLI::App& app, const CommonOptions& common, Session& session,
                     std::function<void()>& command) {
  auto options = std::make_shared<CkaOptions>();
  CLI::App* sub = app.add_subcommand(
      "cka", "similarity of two networks' features on test images, per stage (paper, Table 1)");
  sub->add_option("a", options->a, "checkpoint or run folder")->required();
  sub->add_option("b", options->b, "checkpoint or run folder")->required();
  add_test_data(sub, options->data);
  add_model(sub, options->model);
  sub->add_option("--batch-size", options->batch_size,
                  "images per estimate; a last batch of fewer than four is left out")
      ->check(CLI::Range(4, 1000000))
      ->capture_default_str();
  sub->add_option("--out", options->out, "folder of the result")->required();
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      run_cka(*options, session);
      const CsvTable table = CsvTable::read(options->out / "cka.csv");
      Json json = Json::parse(read_file(options->out / "result.json"));
      std::string text = fmt::format("{:<8} {:>8} {:>12}\n", "module", "cka", "aligned cka");
      for (size_t i = 0; i < table.row_count(); ++i) {
        const double cka = number(table, i, "cka"), aligned = number(table, i, "aligned_cka");
        json["modules"].push_back(
            {{"module", table.text(i, "module")}, {"cka", cka}, {"aligned_cka", aligned}});
        text += fmt::format("{:<8} {:>8.4f} {:>12.4f}\n", table.text(i, "module"), cka, aligned);
      }
      print(common, json, text);
    };
  });
}

void add_mistakes_command(CLI::App& app, const CommonOptions& common, Session& session,
                          std::function<void()>& command) {
  auto options = std::make_shared<MistakesOptions>();
  CLI::App* sub = app.add_subcommand(
      "mistakes", "mistakes on test images that two networks share, or only one of them makes");
  sub->add_option("a", options->a, "first network: checkpoint or run folder")->required();
  sub->add_option("b", options->b, "second network: checkpoint or run folder")->required();
  add_test_data(sub, options->data);
  add_model(sub, options->model);
  sub->add_option("--out", options->out, "folder of the result, with pictures")->required();
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      run_mistakes(*options, session);
      const CsvTable table = CsvTable::read(options->out / "mistakes.csv");
      Json json = Json::parse(read_file(options->out / "result.json"));
      std::string text = fmt::format("{:<20} {:>8} {:>12} {:>18} {:>18}\n", "label", "items",
                                     "both wrong", "only first wrong", "only second wrong");
      for (size_t i = 0; i < table.row_count(); ++i) {
        Json row = {{"label", table.text(i, "label")}};
        text += fmt::format("{:<20}", table.text(i, "label"));
        for (const auto& [column, width] : {std::pair{"items", 8},
                                            {"both_wrong", 12},
                                            {"only_first_wrong", 18},
                                            {"only_second_wrong", 18}}) {
          row[column] = static_cast<int64_t>(number(table, i, column));
          text += fmt::format(" {:>{}}", table.text(i, column), width);
        }
        text += "\n";
        json["counts"].push_back(row);
      }
      print(common, json, text);
    };
  });
}

void add_spectrum_command(CLI::App& app, const CommonOptions& common, Session& session,
                          std::function<void()>& command) {
  struct Options {
    SpectrumOptions spectrum;
    std::vector<std::string> networks;
  };
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand(
      "spectrum", "singular values of the weights of networks, whole and per module");
  sub->add_option("networks", options->networks, "checkpoints or run folders, as path or name=path")
      ->required()
      ->delimiter(',');
  add_model(sub, options->spectrum.model);
  sub->add_option("--out", options->spectrum.out, "folder of the result")->required();
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      for (const std::string& text : options->networks) {
        options->spectrum.networks.push_back(parse_network_name(text));
      }
      run_spectrum(options->spectrum, session);
      const CsvTable table = CsvTable::read(options->spectrum.out / "summary.csv");
      Json json = Json::array();
      std::string text =
          fmt::format("{:<16} {:<12} {:>13} {:>14} {:>11} {:>14}\n", "network", "module",
                      "spectral norm", "frobenius norm", "stable rank", "effective rank");
      for (size_t i = 0; i < table.row_count(); ++i) {
        const double spectral = number(table, i, "spectral_norm"),
                     frobenius = number(table, i, "frobenius_norm"),
                     stable = number(table, i, "stable_rank"),
                     effective = number(table, i, "effective_rank");
        json.push_back({{"network", table.text(i, "network")},
                        {"module", table.text(i, "module")},
                        {"spectral_norm", spectral},
                        {"frobenius_norm", frobenius},
                        {"stable_rank", stable},
                        {"effective_rank", effective}});
        text += fmt::format("{:<16} {:<12} {:>13.4f} {:>14.4f} {:>11.2f} {:>14.2f}\n",
                            table.text(i, "network"), table.text(i, "module"), spectral, frobenius,
                            stable, effective);
      }
      print(common, json, text);
    };
  });
}

}  // namespace basin
