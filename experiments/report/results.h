// A results folder as the report sees it: the plan, its runs, and access to the analyses. A file
// that is damaged becomes a problem under its name; what does not depend on it goes on.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "experiments/program/csv.h"
#include "experiments/report/claims.h"

namespace basin::report {

// The files of the folder. All paths are relative to it.
class Folder {
 public:
  explicit Folder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  bool exists(const std::string& file) const { return std::filesystem::exists(root_ / file); }

  // Runs `action`; what it throws becomes a problem of `file`. Whether it ran to its end.
  template <class Action>
  bool attempt(const std::string& file, Action action) {
    try {
      action();
      return true;
    } catch (const std::exception& error) {
      problem(file, error.what());
      return false;
    }
  }
  void problem(const std::string& file, std::string message);
  // Sorted, each once.
  std::vector<std::string> problems() const { return {problems_.begin(), problems_.end()}; }

  // Throws Error for a table that is missing or damaged.
  CsvTable table(const std::string& file) const { return CsvTable::read(root_ / file); }
  // All numbers of a JSON object by their path, as in "final.test_loss"; texts, lists and nulls are
  // left out. Throws for a file that is missing or damaged.
  std::map<std::string, double> numbers(const std::string& file) const;
  // The names of the analyses that are there and finished, such as "cka-photo-finetune-finetune".
  // One that has a configuration but no DONE marker was cut off and is left out.
  std::vector<std::string> finished_analyses() const;
  // The path of a table of a finished analysis; nothing where that was not run.
  std::optional<std::string> analysis_file(const std::string& analysis,
                                           const std::string& name) const;

  // A number of the analysis's result.json; nothing where the file or the number is not there.
  std::optional<double> result_number(const std::string& analysis, const std::string& key);

 private:
  std::filesystem::path root_;
  std::set<std::string> problems_;
};

// A cell that must not be empty; throws Error, naming `file`, where it is.
double required(const CsvTable& table, std::size_t row, const char* column,
                const std::string& file);
// The metric of a table with a column `accuracy` or `auc`, and that column's name.
Metric metric_of(const CsvTable& table);
const char* performance_column(Metric metric);

// One training run. It counts once its DONE marker is there.
struct Run {
  std::string path;
  std::optional<CsvTable> metrics;
  std::optional<Metric> metric;
  std::optional<double> performance, loss;  // final, on the test set
  std::optional<double> best_performance, best_epoch;
  std::optional<double> seconds, images_per_second;

  std::string metrics_path() const { return path + "/metrics.csv"; }
  bool usable() const { return metrics && metric && performance; }
};

// A run with the part it has in the plan.
struct PlannedRun {
  Run run;
  std::set<std::string> experiments;
  std::string target;
  bool finetune = false;
  std::optional<double> learning_rate;
  std::int64_t seed = 0;
  std::optional<std::int64_t> pretrained_epoch;  // the checkpoint fine-tuning started from
  std::string shuffle = "none";                  // "none", "block4", "pixels"
  std::int64_t shuffle_seed = 0;
  bool same_init = false;
};

struct Target {
  std::string name, data;
  std::int64_t train_size = 0, epochs = 0;
  std::optional<std::int64_t> test_size;
  // The main runs, by seed: main rate, nothing shuffled, the last checkpoint of pre-training.
  std::vector<Run> finetune, randinit;
};

struct Sheet {
  std::string data, image;
};

struct Results {
  explicit Results(std::filesystem::path root) : folder(std::move(root)) {}

  Folder folder;
  bool planned = false;  // plan.json could be read
  std::string title, preset, started, cpu, commit;
  std::optional<double> seconds;
  std::int64_t threads = 0;
  std::string source_data, source_model;
  std::int64_t source_images = 0, source_epochs = 0;
  std::optional<Run> source;
  std::optional<double> finetune_rate, randinit_rate;
  std::vector<Target> targets;
  std::vector<PlannedRun> runs;  // all of the plan; empty for plans that list only the main runs
  std::vector<Sheet> sheets;
};

Results read_results(const std::filesystem::path& root);

// The metric of the target's runs; accuracy where there is none yet.
Metric metric_of(const Target& target);

}  // namespace basin::report
