// Made-up results: saturating learning curves, a dip between random-init networks.
#include "tests/experiments/report/synthetic_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "experiments/program/csv.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// A small deterministic wobble in [-1, 1].
double wobble(int a, int b) {
  return std::sin(12.9898 * a + 78.233 * b + 0.5);
}

// A finished run or analysis: its tables by file name, and result.json unless it is null.
void write_finished(const fs::path& folder, const std::map<std::string, CsvTable>& tables,
                    const json& result) {
  fs::create_directories(folder);
  for (const auto& [name, table] : tables) table.write(folder / name);
  if (!result.is_null()) write_text(folder / "result.json", result.dump(2));
  write_text(folder / "config.json", "{}\n");
  write_text(folder / "DONE", "");
}

// A run whose performance goes from `start` to `end` on test and to `train_end` on training images,
// at the speed `rate`; `number` sets its wobble.
void write_run(const fs::path& folder, const std::string& metric, int epochs, double start,
               double end, double train_end, double rate, int number) {
  const auto name = [&](const char* split) { return fmt::format("{}_{}", split, metric); };
  CsvTable table({"epoch", "learning_rate", "train_loss", name("train"), "train_eval_loss",
                  name("train_eval"), "test_loss", name("test"), "seconds", "images_per_second"});
  double test = 0;
  double loss = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    const double progress = 1 - std::exp(-rate * epoch);
    // Slow training still ends near `end` on test images.
    const double settled = 1 - std::exp(-(rate + 0.2) * epoch);
    test = start + (end - start) * settled + 0.004 * wobble(epoch, number) * settled;
    const double train = start + (train_end - start) * progress;
    loss = 2.3 * (1 - progress) + 0.5;
    table.add_row({std::to_string(epoch), "0.02", epoch == 0 ? "" : csv_number(loss),
                   epoch == 0 ? "" : csv_number(train), csv_number(loss * 0.9), csv_number(train),
                   csv_number(loss), csv_number(test), "3.5", "2300"});
  }
  const json result = {{"final", {{name("test"), test}, {"test_loss", loss}}},
                       {"best", {{name("test"), test + 0.01}, {"epoch", epochs / 2}}},
                       {"epochs", epochs},
                       {"seconds", 3.5 * epochs},
                       {"images_per_second", 2300.0}};
  write_finished(folder, {{"metrics.csv", table}}, result);
}

const char* start_name(bool is_finetune) {
  return is_finetune ? "finetune" : "randinit";
}

// One grey pixel.
std::string grey_pixel() {
  static const char kPng[] =
      "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~"
      "\x9bU\x00\x00\x00\x0aIDATx\x9c"
      "c(\x00\x00\x00\x81\x00\x81\x0f\x0d\x0a\x0d";
  return std::string(kPng, sizeof(kPng) - 1);
}

void write_interpolation(const fs::path& folder, const std::string& column, double first,
                         double second, double dip, double middle_loss) {
  CsvTable table({"lambda", "loss", column});
  for (int i = 0; i <= 20; ++i) {
    const double lambda = i / 20.0;
    const double bump = std::pow(std::sin(M_PI * lambda), 2);
    table.add_row({csv_number(lambda), csv_number(0.7 + middle_loss * bump),
                   csv_number((1 - lambda) * first + lambda * second - dip * bump)});
  }
  const json result = {
      {"barrier_accuracy", std::max(dip, 0.0)}, {"barrier_loss", middle_loss}, {"images", 2000}};
  write_finished(folder, {{"interpolation.csv", table}}, result);
}

// A target with what its networks reach.
struct Domain {
  const char* name;
  const char* metric;
  double start, finetune, randinit;
  bool is_auc() const { return std::string(metric) == "auc"; }
};

const std::vector<std::string> kModules = {"conv1", "layer1.0", "layer2.0", "layer3.0", "fc"};

void write_lines(const fs::path& analyses, const Domain& d) {
  const std::string line = std::string("interpolate-") + d.name + "-";
  const double dip = d.randinit - d.start;
  const auto write = [&](const char* kind, double first, double second, double depth, double loss) {
    write_interpolation(analyses / (line + kind), d.metric, first, second, depth, loss);
  };
  write("finetune-finetune", d.finetune, d.finetune - 0.004, -0.008, 0);
  write("randinit-randinit", d.randinit, d.randinit - 0.01, dip - 0.02, 1.9);
  write("randinit-finetune", d.randinit, d.finetune, dip, 2.4);
  if (d.is_auc()) {
    write("finetune_best-finetune_best", d.finetune + 0.03, d.finetune + 0.03, -0.002, 0);
    write("finetune_best-finetune", d.finetune + 0.03, d.finetune, -0.01, 0);
    write("randinit_best-randinit_best", d.randinit + 0.03, d.randinit + 0.03, dip, 2);
    write("randinit_best-randinit", d.randinit + 0.03, d.randinit, 0.1, 0.4);
    write("finetune_best-randinit_best", d.finetune + 0.03, d.randinit + 0.03, dip, 2.2);
  } else {
    write("same_init", d.randinit, d.randinit, dip / 2, 1.1);
    write(std::string(d.name) == "photo" ? "across-quickdraw" : "across-photo", d.finetune,
          d.start + 0.2, 0.05, 0.3);
  }
}

void write_extents(const fs::path& analyses, const Domain& d) {
  for (const bool is_finetune : {true, false}) {
    CsvTable line({"lambda", "loss", "error"});
    const double error = 1 - (is_finetune ? d.finetune : d.randinit);
    for (int i = -20; i <= 40; ++i) {
      const double lambda = i / 20.0;
      const double outside = std::max({0.0, -lambda - 0.1, lambda - 1.1});
      const double inside = is_finetune ? 0 : 0.5 * std::pow(std::sin(M_PI * lambda), 2);
      line.add_row({csv_number(lambda), csv_number(3 * error),
                    csv_number(std::min(0.9, error + outside * outside + inside))});
    }
    CsvTable deltas({"delta", "delta_per_coordinate", "noise_loss", "extrapolation_loss"});
    for (int k = 1; k <= 10; ++k) {
      deltas.add_row({csv_number(2.8 * k), csv_number(0.01 * k), csv_number(0.002 * k * k),
                      csv_number(0.003 * k)});
    }
    const json result = {{"epsilon", is_finetune ? 0.004 : 0.21},
                         {"mean_loss", error + 0.002},
                         {"lambda_low", -0.15},
                         {"images", 2000},
                         {"lambda_high", 1.15},
                         {"parameters", 78400},
                         {"loss", "error"},
                         {"delta", is_finetune ? json(8.4) : json(nullptr)}};
    const char* pair = is_finetune ? "finetune-finetune" : "randinit-randinit";
    write_finished(analyses / fmt::format("extent-{}-{}", d.name, pair),
                   {{"extent.csv", line}, {"deltas.csv", deltas}}, result);
  }
}

void write_mistakes(const fs::path& analyses, const Domain& d) {
  for (const char* pair : {"finetune-finetune", "randinit-finetune", "randinit-randinit"}) {
    const bool is_finetune = std::string(pair) == "finetune-finetune";
    const fs::path folder = analyses / fmt::format("mistakes-{}-{}", d.name, pair);
    CsvTable table({"label", "items", "both_wrong", "only_first_wrong", "only_second_wrong"});
    for (const char* label : {"all", "shirt", "bag"}) {
      if (std::string(label) != "all" && !d.is_auc()) continue;
      table.add_row({label, "10000", is_finetune ? "1200" : "900", is_finetune ? "250" : "1400",
                     is_finetune ? "270" : "700"});
    }
    CsvTable pictures({"sheet", "position", "index", "true", "first", "second"});
    pictures.add_row({"both_wrong", "0", "17", "bag", "shirt", "coat"});
    for (const char* sheet : {"only_first_wrong", "only_second_wrong", "both_wrong"}) {
      write_text(folder / (std::string(sheet) + ".png"), grey_pixel());
    }
    write_finished(folder, {{"mistakes.csv", table}, {"pictures.csv", pictures}},
                   {{"images", 10000}});
  }
}

void write_similarities(const fs::path& analyses, const Domain& d) {
  const std::vector<std::string> stages = {"conv1", "layer1", "layer2", "layer3"};
  const std::vector<std::pair<const char*, double>> pairs = {{"finetune-finetune", 0.98},
                                                             {"finetune-pretrained", 0.95},
                                                             {"randinit-finetune", 0.7},
                                                             {"randinit-randinit", 0.72}};
  for (const auto& [pair, top] : pairs) {
    CsvTable table({"module", "cka", "aligned_cka"});
    for (std::size_t m = 0; m < stages.size(); ++m) {
      const double cka = top - 0.08 * static_cast<double>(m);
      table.add_row({stages[m], csv_number(cka),
                     csv_number(top > 0.8 ? cka - 0.1 : 0.01 * wobble(static_cast<int>(m), 3))});
    }
    write_finished(analyses / fmt::format("cka-{}-{}", d.name, pair), {{"cka.csv", table}},
                   {{"images", 2000}, {"batch_size", 256}});
  }
}

void write_rewindings(const fs::path& analyses, const Domain& d) {
  const std::vector<double> finetune_drop = {0.01, 0.004, 0.012, 0.03, 0.5};
  const std::vector<double> randinit_drop = {0.34, 0.21, 0.16, 0.25, 0.4};
  for (const bool is_finetune : {true, false}) {
    CsvTable table({"module", "to", "draw", "loss", d.metric});
    const double intact = is_finetune ? d.finetune : d.randinit;
    table.add_row({"none", "", "", "0.7", csv_number(intact)});
    for (std::size_t m = 0; m < kModules.size(); ++m) {
      const double drop = std::min((is_finetune ? finetune_drop : randinit_drop)[m], intact - 0.05);
      const auto add = [&](const char* to, const char* draw, double share) {
        table.add_row({kModules[m], to, draw, "1.1", csv_number(intact - drop * share)});
      };
      add("0", "", 1);
      add("5", "", 0.5);
      add("15", "", 0.1);
      add("random", "1", 1.05);
      add("random", "2", 1.1);
    }
    write_finished(analyses / fmt::format("rewind-{}-{}", d.name, start_name(is_finetune)),
                   {{"rewind.csv", table}}, nullptr);
  }
}

void write_criticalities(const fs::path& analyses, const Domain& d) {
  for (const bool is_finetune : {true, false}) {
    CsvTable heat({"module", "path", "column", "row", "distance", "noise", "loss", d.metric});
    CsvTable values({"module", "path", "criticality", "alpha", "sigma"});
    for (std::size_t m = 0; m < kModules.size(); ++m) {
      const double depth = static_cast<double>(m);
      const double reach = is_finetune ? 0.5 + 0.2 * depth : 6.0 + depth;
      for (const char* path : {"direct", "optimization"}) {
        const double opens = std::string(path) == "direct" ? 0.5 : 0.3;
        for (int column = 0; column < 12; ++column) {
          for (int row = 0; row < 8; ++row) {
            const double along = column / 11.0, noise = 0.5 * row / 7;
            const double width = is_finetune ? 0.12 : 0.02 + 0.3 * std::max(0.0, along - opens);
            const double share = std::exp(-noise * noise / (2 * width * width));
            const double there = is_finetune ? 1 : 1 / (1 + std::exp(-14 * (along - opens)));
            heat.add_row({kModules[m], path, std::to_string(column), std::to_string(row),
                          csv_number(reach * along), csv_number(noise), "1",
                          csv_number(d.start + (0.98 - d.start) * share * there)});
          }
        }
        // One module of RI-T has no admissible setting.
        const bool none = !is_finetune && m == 2;
        values.add_row({kModules[m], path,
                        none ? "" : csv_number((is_finetune ? 0.3 : 40) * (1 + depth * depth)),
                        none ? "" : "0.4", none ? "" : "0.1"});
      }
    }
    write_finished(analyses / fmt::format("criticality-{}-{}", d.name, start_name(is_finetune)),
                   {{"heat.csv", heat}, {"criticality.csv", values}},
                   {{"network", {{"direct", 12.5}, {"optimization", nullptr}}},
                    {"loss_limit", 0.1},
                    {"images", 1000}});
  }
}

void write_spectra(const fs::path& analyses, const Domain& d) {
  CsvTable values({"network", "module", "index", "value"});
  CsvTable summary(
      {"network", "module", "spectral_norm", "frobenius_norm", "stable_rank", "effective_rank"});
  const std::vector<std::pair<const char*, double>> networks = {
      {"pretrained", 20}, {"finetune", 22}, {"randinit", 60}, {"init", 90}};
  std::vector<std::string> modules = kModules;
  modules.push_back("all");
  for (const auto& [network, decay] : networks) {
    for (const std::string& module : modules) {
      for (int i = 0; i < 100; ++i) {
        values.add_row({network, module, std::to_string(i), csv_number(3 * std::exp(-i / decay))});
      }
      summary.add_row({network, module, "3", "11.5", "14.7", csv_number(decay)});
    }
  }
  write_finished(analyses / fmt::format("spectrum-{}", d.name),
                 {{"spectrum.csv", values}, {"summary.csv", summary}}, nullptr);
}

void write_distances(const fs::path& analyses, const Domain& d) {
  CsvTable table({"pair", "module", "distance", "norm_a", "norm_b"});
  const std::vector<std::pair<std::string, double>> pairs = {{"finetune-finetune", 0.3},
                                                             {"randinit-randinit", 1.38},
                                                             {"finetune-pretrained", 0.22},
                                                             {"randinit-pretrained", 1.41}};
  for (const auto& [pair, relative] : pairs) {
    double squares = 0;
    double squares_without_fc = 0;
    for (std::size_t m = 0; m < kModules.size(); ++m) {
      const double norm = 4.0 + 3.0 * static_cast<double>(m);
      const bool no_classifier = kModules[m] == "fc" && pair.ends_with("-pretrained");
      if (no_classifier) continue;
      const double distance = norm * relative * (0.7 + 0.12 * static_cast<double>(m));
      squares += distance * distance;
      if (kModules[m] != "fc") squares_without_fc += distance * distance;
      table.add_row({pair, kModules[m], csv_number(distance), csv_number(norm), csv_number(norm)});
    }
    table.add_row({pair, "all_but_fc", csv_number(std::sqrt(squares_without_fc)), "18", "18"});
    if (!pair.ends_with("-pretrained")) {
      table.add_row({pair, "all", csv_number(std::sqrt(squares)), "24", "24"});
    }
  }
  write_finished(analyses / fmt::format("distance-{}", d.name), {{"distance.csv", table}}, nullptr);
}

// The runs on shuffled images and from earlier checkpoints, as entries of the plan.
void write_more_runs(const fs::path& folder, const Domain& d, int seeds, json& runs) {
  struct Shuffled {
    const char* shuffle;
    double finetune, drop, finetune_rate, randinit_rate;
  };
  const bool photo = std::string(d.name) == "photo";
  const std::vector<Shuffled> shuffles = {{"pixels", 0.30, 0.2, 0.4, 0.02},
                                          {"block1", 0.35, photo ? 0.03 : 0.50, 0.4, 0.03},
                                          {"block4", 0.55, photo ? 0.06 : 0.35, 0.45, 0.06},
                                          {"block8", 0.68, photo ? 0.09 : 0.20, 0.5, 0.09}};
  for (int seed = 1; seed <= seeds; ++seed) {
    for (const Shuffled& shuffled : shuffles) {
      for (const bool is_finetune : {true, false}) {
        const char* start = start_name(is_finetune);
        const std::string path =
            fmt::format("runs/{}-{}-{}-{}", d.name, shuffled.shuffle, start, seed);
        const double end =
            is_finetune ? shuffled.finetune : shuffled.finetune * (1 - shuffled.drop);
        write_run(folder / path, d.metric, 30, d.start, end, 0.95,
                  is_finetune ? shuffled.finetune_rate : shuffled.randinit_rate,
                  seed + (is_finetune ? 0 : 10));
        runs.push_back({{"path", path},
                        {"experiments", {"shuffle"}},
                        {"target", d.name},
                        {"start", start},
                        {"learning_rate", is_finetune ? 0.02 : 0.03},
                        {"seed", seed},
                        {"shuffle", shuffled.shuffle},
                        {"shuffle_seed", 1233 + seed},
                        {"same_init", false}});
      }
    }
    const std::vector<std::pair<int, double>> checkpoints = {{0, 0}, {1, 0.5}, {4, 0.85}, {8, 1}};
    for (const auto& [epoch, share] : checkpoints) {
      const std::string path = fmt::format("runs/{}-checkpoint{}-{}", d.name, epoch, seed);
      write_run(folder / path, d.metric, 30, d.start,
                d.randinit + share * (d.finetune - d.randinit), 0.95, 0.12 + 0.38 * share, seed);
      runs.push_back({{"path", path},
                      {"experiments", {"checkpoints"}},
                      {"target", d.name},
                      {"start", "finetune"},
                      {"learning_rate", 0.02},
                      {"seed", seed},
                      {"pretrained_epoch", epoch},
                      {"shuffle", "none"}});
    }
  }
}

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

void write_synthetic_results(const fs::path& folder, int runs) {
  const std::vector<Domain> domains = {{"photo", "accuracy", 0.1, 0.83, 0.71},
                                       {"quickdraw", "accuracy", 0.1, 0.70, 0.62},
                                       {"mosaic", "auc", 0.5, 0.86, 0.78}};
  json planned = json::array();
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
        const char* kind = start_name(is_finetune);
        const std::string path = fmt::format("runs/{}-{}-{}", domain.name, kind, run);
        target[kind].push_back(path);
        write_run(folder / path, domain.metric, 30, domain.start,
                  is_finetune ? domain.finetune : domain.randinit, 0.95, is_finetune ? 0.5 : 0.12,
                  run + (is_finetune ? 0 : 10));
        json entry = {{"path", path},
                      {"experiments", {"curves"}},
                      {"target", domain.name},
                      {"start", kind},
                      {"learning_rate", is_finetune ? 0.02 : 0.03},
                      {"seed", run},
                      {"shuffle", "none"},
                      {"same_init", false}};
        if (is_finetune) entry["pretrained_epoch"] = 12;
        if (!domain.is_auc()) entry["experiments"] = {"curves", "shuffle", "checkpoints"};
        planned.push_back(entry);
      }
    }
    // A second rate for RI-T, worse than the first.
    const std::string slow = fmt::format("runs/{}-randinit-slow-1", domain.name);
    write_run(folder / slow, domain.metric, 30, domain.start, domain.randinit - 0.1, 0.8, 0.06, 50);
    planned.push_back({{"path", slow},
                       {"experiments", {"curves"}},
                       {"target", domain.name},
                       {"start", "randinit"},
                       {"learning_rate", 0.003},
                       {"seed", 1}});
    if (!domain.is_auc()) write_more_runs(folder, domain, runs, planned);
    const fs::path analyses = folder / "analyses";
    write_lines(analyses, domain);
    write_extents(analyses, domain);
    write_mistakes(analyses, domain);
    write_similarities(analyses, domain);
    write_rewindings(analyses, domain);
    write_criticalities(analyses, domain);
    write_spectra(analyses, domain);
    write_distances(analyses, domain);
    targets.push_back(target);
  }
  write_run(folder / "runs/pretrain", "accuracy", 12, 0.1, 0.91, 0.95, 0.6, 99);
  write_text(folder / "sheets/photo.png", grey_pixel());
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
                     {"rates", {{"finetune", 0.02}, {"randinit", 0.03}}},
                     {"targets", targets},
                     {"runs", planned},
                     {"sheets", {{{"data", "fashion/photo"}, {"png", "sheets/photo.png"}}}}};
  write_text(folder / "plan.json", plan.dump(2));
}

}  // namespace basin
