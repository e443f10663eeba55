// Made-up results: saturating learning curves, a dip between random-init networks.
#include "tests/experiments/synthetic_results.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "experiments/csv.h"
#include "kernels/check.h"

namespace basin {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// A small deterministic wobble in [-1, 1].
double wobble(int a, int b) {
  return std::sin(12.9898 * a + 78.233 * b + 0.5);
}

void write_run(const fs::path& folder, const std::string& metric, int epochs, double start,
               double end, double rate, int number) {
  const auto name = [&](const char* split) { return fmt::format("{}_{}", split, metric); };
  CsvTable table({"epoch", "learning_rate", "train_loss", name("train"), "train_eval_loss",
                  name("train_eval"), "test_loss", name("test"), "seconds", "images_per_second"});
  double test = 0;
  double loss = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    const double progress = 1 - std::exp(-rate * epoch);
    test = start + (end - start) * progress + 0.008 * wobble(epoch, number) * progress;
    const double train = std::min(1.0, start + (end + 0.1 - start) * progress);
    loss = 2.3 * (1 - progress) + 0.5;
    table.add_row({std::to_string(epoch), "0.02", epoch == 0 ? "" : csv_number(loss),
                   epoch == 0 ? "" : csv_number(train), csv_number(loss * 0.9), csv_number(train),
                   csv_number(loss), csv_number(test), "3.5", "2300"});
  }
  fs::create_directories(folder);
  table.write(folder / "metrics.csv");
  const json result = {{"final", {{name("test"), test}, {"test_loss", loss}}},
                       {"best", {{name("test"), test}, {"epoch", epochs}}},
                       {"epochs", epochs},
                       {"seconds", 3.5 * epochs},
                       {"images_per_second", 2300.0}};
  write_text(folder / "result.json", result.dump(2));
  write_text(folder / "config.json", "{}\n");
  write_text(folder / "DONE", "");
}

void write_interpolation(const fs::path& folder, const std::string& column, double first,
                         double second, double dip, double middle_loss) {
  fs::create_directories(folder);
  CsvTable table({"lambda", "loss", column});
  for (int i = 0; i <= 20; ++i) {
    const double lambda = i / 20.0;
    const double bump = std::pow(std::sin(M_PI * lambda), 2);
    table.add_row({csv_number(lambda), csv_number(0.7 + middle_loss * bump),
                   csv_number((1 - lambda) * first + lambda * second - dip * bump)});
  }
  table.write(folder / "interpolation.csv");
  const double height = dip > 0 ? dip : 0;
  const json result = {{"barrier_accuracy", height}, {"barrier_loss", middle_loss}};
  write_text(folder / "result.json", result.dump(2));
}

void write_analyses(const fs::path& analyses, const std::string& target, const std::string& column,
                    double chance, double finetune, double randinit) {
  const std::string line = "interpolate-" + target + "-";
  write_interpolation(analyses / (line + "finetune-finetune"), column, finetune, finetune - 0.004,
                      -0.008, 0);
  write_interpolation(analyses / (line + "randinit-randinit"), column, randinit, randinit - 0.01,
                      randinit - chance - 0.02, 1.9);
  write_interpolation(analyses / (line + "randinit-finetune"), column, randinit, finetune,
                      randinit - chance, 2.4);

  const std::vector<std::string> modules = {"conv1", "layer1.0", "layer2.0", "layer3.0", "fc"};
  const std::vector<double> finetune_drop = {0.01, 0.004, 0.012, 0.03, 0.5};
  const std::vector<double> randinit_drop = {0.34, 0.21, 0.16, 0.25, 0.4};
  for (const bool is_finetune : {true, false}) {
    CsvTable table({"module", "loss", column});
    const double intact = is_finetune ? finetune : randinit;
    table.add_row({"none", "0.7", csv_number(intact)});
    for (std::size_t m = 0; m < modules.size(); ++m) {
      const double drop = (is_finetune ? finetune_drop : randinit_drop)[m];
      table.add_row({modules[m], "1.1", csv_number(intact - drop)});
    }
    const fs::path folder =
        analyses / fmt::format("rewind-{}-{}", target, is_finetune ? "finetune" : "randinit");
    fs::create_directories(folder);
    table.write(folder / "rewind.csv");
  }

  CsvTable table({"pair", "module", "distance", "norm_a", "norm_b"});
  const std::vector<std::pair<std::string, double>> pairs = {{"finetune-finetune", 0.3},
                                                             {"randinit-randinit", 1.38},
                                                             {"finetune-pretrained", 0.22},
                                                             {"randinit-pretrained", 1.41}};
  for (const auto& [pair, relative] : pairs) {
    double squares = 0;
    double squares_without_fc = 0;
    for (std::size_t m = 0; m < modules.size(); ++m) {
      const double norm = 4.0 + 3.0 * static_cast<double>(m);
      const bool no_classifier = modules[m] == "fc" && pair.ends_with("-pretrained");
      if (no_classifier) continue;
      const double distance = norm * relative * (0.7 + 0.12 * static_cast<double>(m));
      squares += distance * distance;
      if (modules[m] != "fc") squares_without_fc += distance * distance;
      table.add_row({pair, modules[m], csv_number(distance), csv_number(norm), csv_number(norm)});
    }
    table.add_row({pair, "all_but_fc", csv_number(std::sqrt(squares_without_fc)), "18", "18"});
    if (!pair.ends_with("-pretrained")) {
      table.add_row({pair, "all", csv_number(std::sqrt(squares)), "24", "24"});
    }
  }
  const fs::path folder = analyses / ("distance-" + target);
  fs::create_directories(folder);
  table.write(folder / "distance.csv");
}

// One grey pixel.
const char kPng[] =
    "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~"
    "\x9bU\x00\x00\x00\x0aIDATx\x9c"
    "c(\x00\x00\x00\x81\x00\x81\x0f\x0d\x0a\x0d";

}  // namespace

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.flush();
  BASIN_CHECK(file, path.string(), ": writing failed");
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  BASIN_CHECK(file, path.string(), ": cannot be opened for reading");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "basin-test-XXXXXX").string();
  BASIN_CHECK(mkdtemp(name.data()) != nullptr, name, ": cannot be made");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a destructor must not throw
  fs::remove_all(path_, ignored);
}

void write_synthetic_results(const fs::path& folder, int runs) {
  struct Domain {
    const char* name;
    const char* metric;
    double start, finetune, randinit;
  };
  const std::vector<Domain> domains = {{"photo", "accuracy", 0.1, 0.83, 0.71},
                                       {"quickdraw", "accuracy", 0.1, 0.70, 0.62},
                                       {"mosaic", "auc", 0.5, 0.86, 0.78}};
  json targets = json::array();
  for (const Domain& domain : domains) {
    json target = {{"name", domain.name},
                   {"data", std::string("fashion/") + domain.name},
                   {"train_size", 500},
                   {"test_size", 10000},
                   {"epochs", 30},
                   {"finetune", json::array()},
                   {"randinit", json::array()}};
    for (int run = 1; run <= runs; ++run) {
      for (const bool is_finetune : {true, false}) {
        const char* kind = is_finetune ? "finetune" : "randinit";
        const std::string path = fmt::format("runs/{}-{}-{}", domain.name, kind, run);
        target[kind].push_back(path);
        write_run(folder / path, domain.metric, 30, domain.start,
                  is_finetune ? domain.finetune : domain.randinit, is_finetune ? 0.5 : 0.12,
                  run + (is_finetune ? 0 : 10));
      }
    }
    write_analyses(folder / "analyses", domain.name,
                   std::string(domain.metric) == "auc" ? "auc" : "accuracy", domain.start,
                   domain.finetune, domain.randinit);
    targets.push_back(target);
  }
  write_run(folder / "runs/pretrain", "accuracy", 12, 0.1, 0.91, 0.6, 99);
  write_text(folder / "sheets/photo.png", std::string(kPng, sizeof(kPng) - 1));
  const json plan = {{"title", "What is being transferred: synthetic numbers"},
                     {"preset", "demo"},
                     {"started", "2021-01-14T09:00:00Z"},
                     {"seconds", 754.2},
                     {"machine", {{"cpu", "a test"}, {"threads", 2}, {"commit", "0123abc"}}},
                     {"source",
                      {{"data", "fashion/photo"},
                       {"split", "source"},
                       {"images", 50000},
                       {"epochs", 12},
                       {"model", "fixup_resnet8"},
                       {"run", "runs/pretrain"}}},
                     {"targets", targets},
                     {"sheets", {{{"data", "fashion/photo"}, {"png", "sheets/photo.png"}}}}};
  write_text(folder / "plan.json", plan.dump(2));
}

}  // namespace basin
