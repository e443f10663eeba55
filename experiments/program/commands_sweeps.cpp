// The subcommands that evaluate a network at many weight settings.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/criticality/criticality.h"
#include "experiments/extent/extent.h"
#include "experiments/interpolate/interpolate.h"
#include "experiments/program/commands.h"
#include "experiments/program/csv.h"
#include "experiments/rewind/rewind.h"

namespace basin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The folder's result.json.
void print_result(const CommonOptions& common, const fs::path& folder) {
  const Json json = Json::parse(read_file(folder / "result.json"));
  const std::string text =
      common.json ? json.dump(2) : fmt::format("{}: {}", folder.string(), json.dump());
  fmt::print("{}\n", text);
}

// A table's cells: numbers as numbers, empty ones as null.
Json json_of(const CsvTable& table, const std::vector<std::string>& texts) {
  Json rows = Json::array();
  for (size_t i = 0; i < table.row_count(); ++i) {
    Json row;
    for (const std::string& column : table.columns()) {
      const std::string& cell = table.text(i, column);
      if (std::find(texts.begin(), texts.end(), column) != texts.end()) {
        row[column] = cell;
      } else {
        const auto number = table.number(i, column);
        row[column] = number ? Json(*number) : Json();
      }
    }
    rows.push_back(row);
  }
  return rows;
}

std::string text_of(const CsvTable& table) {
  std::string text;
  for (const std::string& column : table.columns()) text += fmt::format("{:<14}", column);
  for (size_t i = 0; i < table.row_count(); ++i) {
    text += '\n';
    for (const std::string& column : table.columns()) {
      text += fmt::format("{:<14.13}", table.text(i, column));
    }
  }
  return text;
}

void print_table(const CommonOptions& common, const fs::path& path,
                 const std::vector<std::string>& texts) {
  const CsvTable table = CsvTable::read(path);
  fmt::print("{}\n", common.json ? json_of(table, texts).dump(2) : text_of(table));
}

void add_out(CLI::App* sub, fs::path& out) {
  sub->add_option("--out", out, "folder of the result")->required();
}

// Two networks and the test images they are evaluated on.
template <class Options>
void add_pair(CLI::App* sub, Options& options) {
  sub->add_option("--from", options.from, "checkpoint or run folder at lambda 0")->required();
  sub->add_option("--to", options.to, "checkpoint or run folder at lambda 1")->required();
  add_test_data(sub, options.data);
  add_model(sub, options.model);
}

}  // namespace

void add_interpolate_command(CLI::App& app, const CommonOptions& common, Session& session,
                             std::function<void()>& command) {
  auto options = std::make_shared<InterpolateOptions>();
  CLI::App* sub = app.add_subcommand(
      "interpolate", "evaluate the straight line between two networks (paper, Fig. 4)");
  add_pair(sub, *options);
  sub->add_option("--points", options->points, "evaluations, at equal distances")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  sub->add_option("--range", options->range, "low,high of lambda; beyond 0,1 extrapolates")
      ->delimiter(',')
      ->expected(2)
      ->capture_default_str();
  add_out(sub, options->out);
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      run_interpolate(*options, session);
      print_result(common, options->out);
    };
  });
}

void add_rewind_command(CLI::App& app, const CommonOptions& common, Session& session,
                        std::function<void()>& command) {
  auto options = std::make_shared<RewindOptions>();
  CLI::App* sub = app.add_subcommand(
      "rewind",
      "set each module of a trained network back to an earlier checkpoint (paper, Fig. 5)");
  sub->add_option("--run", options->run, "folder of a training run")->required();
  add_test_data(sub, options->data);
  sub->add_option("--to-epoch", options->to_epochs,
                  "checkpoints a,b,... to set back to; 0: before the first update")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->add_option("--random-draws", options->random_draws,
                  "also set each module to this many draws of new initial weights")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_out(sub, options->out);
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      run_rewind(*options, session);
      print_table(common, options->out / "rewind.csv", {"module", "to"});
    };
  });
}

void add_criticality_command(CLI::App& app, const CommonOptions& common, Session& session,
                             std::function<void()>& command) {
  auto options = std::make_shared<CriticalityOptions>();
  CLI::App* sub = app.add_subcommand(
      "criticality",
      "perturb each module on its way from start to end: maps and criticality (paper, Fig. 6)");
  sub->option_defaults()->always_capture_default();
  CriticalityOptions& o = *options;
  sub->add_option("--run", o.run, "folder of a training run")->required();
  add_test_data(sub, o.data);
  sub->add_option("--modules", o.modules, "modules a,b,...; without it, all")->delimiter(',');
  sub->add_option("--images", o.images, "training images; 0: all")->check(CLI::NonNegativeNumber);
  sub->add_option("--distances", o.distances, "columns of a map: steps from start to end")
      ->check(CLI::Range(2, 10000));
  sub->add_option("--noise-levels", o.noise_levels, "rows of a map: steps from no noise on")
      ->check(CLI::Range(2, 10000));
  sub->add_option("--noise-max", o.noise_max, "the highest noise level")
      ->check(CLI::PositiveNumber);
  sub->add_option("--noise", o.noise,
                  "standard deviation of the noise: relative to the weights of the module, or "
                  "absolute")
      ->check(CLI::IsMember({"relative", "absolute"}));
  sub->add_option("--draws", o.draws,
                  "draws of noise for a cell of the map; criticality takes five")
      ->check(CLI::PositiveNumber);
  sub->add_option("--end-point", o.end_point, "final or best checkpoint")
      ->check(CLI::IsMember({"final", "best"}));
  sub->add_option("--loss", o.loss, "of criticality: error (0-1) or cross-entropy")
      ->check(CLI::IsMember({"error", "cross-entropy"}));
  sub->add_option("--tolerance", o.tolerance,
                  "a place counts when its loss is at most (1 + tolerance) * that of the end point")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--scalar-only", o.scalar_only, "no maps: criticality alone, which is faster");
  add_out(sub, o.out);
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      run_criticality(*options, session);
      if (common.json) {
        print_result(common, options->out);
      } else {
        print_table(common, options->out / "criticality.csv", {});
      }
    };
  });
}

void add_extent_command(CLI::App& app, const CommonOptions& common, Session& session,
                        std::function<void()>& command) {
  auto options = std::make_shared<ExtentOptions>();
  CLI::App* sub = app.add_subcommand(
      "extent", "the (epsilon, delta)-basin around two networks (paper, Definition 3.1)");
  sub->option_defaults()->always_capture_default();
  ExtentOptions& o = *options;
  add_pair(sub, o);
  sub->add_option("--range", o.range, "low,high of lambda; includes 0 and 1")
      ->delimiter(',')
      ->expected(2);
  sub->add_option("--step", o.step, "of lambda; divides 1")->check(CLI::PositiveNumber);
  sub->add_option("--tolerance", o.tolerance,
                  "by which the loss in the basin may exceed its maximum between the networks")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--noise-draws", o.noise_draws, "at either end of the basin")
      ->check(CLI::PositiveNumber);
  sub->add_option("--loss", o.loss, "error (0-1) or cross-entropy")
      ->check(CLI::IsMember({"error", "cross-entropy"}));
  sub->add_option(
      "--epsilon", o.threshold_epsilon,
      "judge condition 1 by this epsilon, that of another pair; no delta is sought when it fails");
  add_out(sub, o.out);
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      run_extent(*options, session);
      print_result(common, options->out);
    };
  });
}

}  // namespace basin
