// Reads plan.json and the runs it names.
#include "experiments/report/results.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "experiments/program/start.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json read_json(const fs::path& root, const std::string& file) {
  std::ifstream stream(root / file, std::ios::binary);
  BASIN_CHECK(stream, file, ": cannot be opened for reading");
  return json::parse(stream);
}

std::optional<double> number(const json& object, const char* key) {
  if (!object.contains(key) || object.at(key).is_null()) return std::nullopt;
  return object.at(key).get<double>();
}

void collect_numbers(const json& value, const std::string& path,
                     std::map<std::string, double>& numbers) {
  if (value.is_number()) numbers[path] = value.get<double>();
  if (!value.is_object()) return;
  for (const auto& [key, element] : value.items()) {
    collect_numbers(element, path.empty() ? key : path + "." + key, numbers);
  }
}

class Reader {
 public:
  explicit Reader(const fs::path& root) : results_(root) {}

  Results read() {
    attempt("plan.json", [&] { read_plan(); });
    return std::move(results_);
  }

 private:
  template <class Action>
  void attempt(const std::string& file, Action action) {
    results_.folder.attempt(file, action);
  }

  void read_plan() {
    if (!results_.folder.exists("plan.json")) return;
    const json plan = read_json(results_.folder.root(), "plan.json");
    BASIN_CHECK(plan.is_object(), "plan.json: an object is expected");
    results_.planned = true;
    attempt("plan.json", [&] {
      results_.title = plan.value("title", "");
      results_.preset = plan.value("preset", "");
      results_.started = plan.value("started", "");
      results_.seconds = number(plan, "seconds");
      const json machine = plan.value("machine", json::object());
      results_.cpu = machine.value("cpu", "");
      results_.commit = machine.value("commit", "");
      results_.threads = machine.value("threads", std::int64_t{0});
      const json rates = plan.value("rates", json::object());
      results_.finetune_rate = number(rates, "finetune");
      results_.randinit_rate = number(rates, "randinit");
    });
    attempt("plan.json", [&] {
      if (!plan.contains("source")) return;
      const json& source = plan.at("source");
      results_.source_data = source.value("data", "");
      results_.source_model = source.value("model", "");
      results_.source_images = source.value("images", std::int64_t{0});
      results_.source_epochs = source.value("epochs", std::int64_t{0});
      results_.source = run(source.at("run").get<std::string>());
    });
    for (const json& entry : list(plan, "targets")) {
      attempt("plan.json", [&] { results_.targets.push_back(read_target(entry)); });
    }
    for (const json& entry : list(plan, "runs")) {
      attempt("plan.json", [&] { results_.runs.push_back(read_planned_run(entry)); });
    }
    for (const json& entry : list(plan, "sheets")) {
      attempt("plan.json", [&] {
        results_.sheets.push_back(
            {entry.at("data").get<std::string>(), entry.at("png").get<std::string>()});
      });
    }
  }

  // The elements of a list of the plan; a list that is not there is empty.
  std::vector<json> list(const json& plan, const char* key) {
    std::vector<json> elements;
    attempt("plan.json", [&] {
      if (plan.contains(key)) elements = plan.at(key).get<std::vector<json>>();
    });
    return elements;
  }

  Target read_target(const json& entry) {
    Target target;
    target.name = entry.at("name").get<std::string>();
    BASIN_CHECK(!target.name.empty() && target.name.find_first_of("/\\") == std::string::npos,
                "target '", target.name, "': the name must serve as part of a file name");
    target.data = entry.value("data", target.name);
    target.train_size = entry.value("train_size", std::int64_t{0});
    target.epochs = entry.value("epochs", std::int64_t{0});
    if (entry.contains("test_size")) {
      const auto size = entry.at("test_size").get<std::int64_t>();
      BASIN_CHECK(size > 0, "target ", target.name, ": test_size is ", size,
                  "; it must be positive");
      target.test_size = size;
    }
    for (const auto& path : entry.value("finetune", std::vector<std::string>())) {
      target.finetune.push_back(run(path));
    }
    for (const auto& path : entry.value("randinit", std::vector<std::string>())) {
      target.randinit.push_back(run(path));
    }
    return target;
  }

  PlannedRun read_planned_run(const json& entry) {
    PlannedRun planned;
    planned.run = run(entry.at("path").get<std::string>());
    planned.experiments = entry.value("experiments", std::set<std::string>());
    planned.target = entry.value("target", "");
    const std::string start = entry.at("start").get<std::string>();
    planned.finetune = start == name_of(Start::kFinetune);
    BASIN_CHECK(planned.finetune || start == name_of(Start::kRandinit), "run ", planned.run.path,
                ": start is '", start, "'; it must be finetune or randinit");
    planned.learning_rate = number(entry, "learning_rate");
    planned.seed = entry.value("seed", std::int64_t{0});
    if (entry.contains("pretrained_epoch") && !entry.at("pretrained_epoch").is_null()) {
      planned.pretrained_epoch = entry.at("pretrained_epoch").get<std::int64_t>();
    }
    planned.shuffle = entry.value("shuffle", "none");
    planned.shuffle_seed = entry.value("shuffle_seed", std::int64_t{0});
    planned.same_init = entry.value("same_init", false);
    return planned;
  }

  // A run may stand in several places of the plan; it is read once.
  const Run& run(const std::string& path) {
    const auto [found, is_new] = runs_.try_emplace(path);
    if (is_new) found->second = read_run(path);
    return found->second;
  }

  Run read_run(const std::string& path) {
    Run run;
    run.path = path;
    if (!results_.folder.exists(path + "/DONE")) return run;
    attempt(run.metrics_path(), [&] {
      const CsvTable table = results_.folder.table(run.metrics_path());
      run.metric = table.has_column("test_auc") ? Metric::kAuc : Metric::kAccuracy;
      // Reading every cell once here lets everything after this rely on the table.
      for (const std::string& column : table.columns()) {
        for (std::size_t row = 0; row < table.row_count(); ++row) table.number(row, column);
      }
      for (std::size_t row = 0; row < table.row_count(); ++row) {
        required(table, row, "epoch", run.metrics_path());
        table.text(row, *run.metric == Metric::kAuc ? "test_auc" : "test_accuracy");
      }
      run.metrics = table;
    });
    const std::string file = path + "/result.json";
    attempt(file, [&] {
      const json result = read_json(results_.folder.root(), file);
      const json& final = result.at("final");
      const char* key = final.contains("test_auc") ? "test_auc" : "test_accuracy";
      run.performance = final.at(key).get<double>();
      run.loss = number(final, "test_loss");
      run.seconds = number(result, "seconds");
      run.images_per_second = number(result, "images_per_second");
      if (result.contains("best")) {
        run.best_performance = number(result.at("best"), key);
        run.best_epoch = number(result.at("best"), "epoch");
      }
    });
    return run;
  }

  Results results_;
  std::map<std::string, Run> runs_;
};

}  // namespace

void Folder::problem(const std::string& file, std::string message) {
  // Messages of a table name the file with its folder already; the report is read beside it.
  const std::string prefix = (root_ / "").string();
  if (message.starts_with(prefix)) message.erase(0, prefix.size());
  problems_.insert(message.starts_with(file) ? message : file + ": " + message);
}

std::map<std::string, double> Folder::numbers(const std::string& file) const {
  const json value = read_json(root_, file);
  BASIN_CHECK(value.is_object(), file, ": an object is expected");
  std::map<std::string, double> numbers;
  collect_numbers(value, "", numbers);
  return numbers;
}

std::vector<std::string> Folder::finished_analyses() const {
  std::vector<std::string> names;
  const fs::path analyses = root_ / "analyses";
  if (!fs::is_directory(analyses)) return names;
  for (const fs::directory_entry& entry : fs::directory_iterator(analyses)) {
    const fs::path& path = entry.path();
    if (!entry.is_directory()) continue;
    if (fs::exists(path / "config.json") && !fs::exists(path / "DONE")) continue;
    names.push_back(path.filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> Folder::analysis_file(const std::string& analysis,
                                                 const std::string& name) const {
  const std::string folder = "analyses/" + analysis;
  if (exists(folder + "/config.json") && !exists(folder + "/DONE")) return std::nullopt;
  const std::string file = folder + "/" + name;
  if (!exists(file)) return std::nullopt;
  return file;
}

std::optional<double> Folder::result_number(const std::string& analysis, const std::string& key) {
  const auto file = analysis_file(analysis, "result.json");
  std::optional<double> value;
  if (!file) return value;
  attempt(*file, [&] {
    const auto all = numbers(*file);
    if (const auto found = all.find(key); found != all.end()) value = found->second;
  });
  return value;
}

double required(const CsvTable& table, std::size_t row, const char* column,
                const std::string& file) {
  const std::optional<double> value = table.number(row, column);
  BASIN_CHECK(value, file, ": row ", row + 1, " has no ", column);
  return *value;
}

Metric metric_of(const CsvTable& table) {
  return table.has_column("auc") ? Metric::kAuc : Metric::kAccuracy;
}

const char* performance_column(Metric metric) {
  return metric == Metric::kAuc ? "auc" : "accuracy";
}

Results read_results(const fs::path& root) {
  return Reader(root).read();
}

Metric metric_of(const Target& target) {
  for (const std::vector<Run>* runs : {&target.finetune, &target.randinit}) {
    for (const Run& run : *runs) {
      if (run.usable()) return *run.metric;
    }
  }
  return Metric::kAccuracy;
}

}  // namespace basin::report
