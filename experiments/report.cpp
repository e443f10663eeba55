// Reads a results folder section by section and says what it shows. No section depends on another
// having been run.
#include "experiments/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/claims.h"
#include "experiments/csv.h"
#include "experiments/paper_numbers.h"
#include "experiments/report_page.h"
#include "experiments/statistics.h"
#include "experiments/svg.h"
#include "kernels/check.h"

namespace basin {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr int kFinetuneStyle = 0;
constexpr int kRandinitStyle = 1;
constexpr int kMixedStyle = 2;

// One training run. A run counts once its DONE marker is there.
struct Run {
  std::string path;  // relative to the results folder
  std::optional<CsvTable> metrics;
  std::optional<Metric> metric;
  std::optional<double> performance, loss;  // final, on the test set
  std::optional<double> seconds, images_per_second;

  std::string metrics_path() const { return path + "/metrics.csv"; }
  bool usable() const { return metrics && metric && performance; }
};

struct Interpolation {
  std::string csv;
  Metric metric;
  std::vector<double> lambda, performance, loss;
  double performance_barrier, loss_barrier;
};

struct Rewinding {
  std::string csv;
  Metric metric;
  std::vector<ModuleScore> scores;
};

struct Distance {
  double distance, norm_a, norm_b;
  // 0 for equal networks, the square root of 2 for orthogonal ones, whatever their norms.
  double relative() const { return distance / std::sqrt((norm_a * norm_a + norm_b * norm_b) / 2); }
};

struct Distances {
  std::string csv;
  std::vector<std::string> modules;  // in file order, without the sums
  std::map<std::pair<std::string, std::string>, Distance> values;  // by pair and module

  std::optional<Distance> find(const std::string& pair, const std::string& module) const {
    const auto found = values.find({pair, module});
    if (found == values.end()) return std::nullopt;
    return found->second;
  }
};

struct Target {
  std::string name, data;
  std::int64_t train_size = 0, epochs = 0;
  std::optional<std::int64_t> test_size;
  std::vector<Run> finetune, randinit;
  std::map<std::string, Interpolation> interpolations;  // by kind
  std::optional<Rewinding> finetune_rewinding, randinit_rewinding;
  std::optional<Distances> distances;
};

struct Sheet {
  std::string data, image;
};

struct Results {
  bool planned = false;  // plan.json could be read
  std::string title, preset, started, cpu, commit;
  std::optional<double> seconds;
  std::int64_t threads = 0;
  std::string source_data, source_model;
  std::int64_t source_images = 0, source_epochs = 0;
  std::optional<Run> source;
  std::vector<Target> targets;
  std::vector<Sheet> sheets;
  std::vector<std::string> problems;
};

const std::vector<std::pair<std::string, std::string>>& interpolation_kinds() {
  static const std::vector<std::pair<std::string, std::string>> kKinds = {
      {"finetune-finetune", "P-T to P-T"},
      {"randinit-randinit", "RI-T to RI-T"},
      {"randinit-finetune", "RI-T to P-T"}};
  return kKinds;
}

const std::vector<std::pair<std::string, std::string>>& distance_pairs() {
  static const std::vector<std::pair<std::string, std::string>> kPairs = {
      {"finetune-finetune", "2 P-T"},
      {"randinit-randinit", "2 RI-T"},
      {"finetune-pretrained", "P-T & P"},
      {"randinit-pretrained", "RI-T & P"}};
  return kPairs;
}

// ---- Reading ------------------------------------------------------------------------------------

class Reader {
 public:
  explicit Reader(fs::path folder) : folder_(std::move(folder)) {}

  Results read() {
    attempt("plan.json", [&] { read_plan(); });
    std::sort(results_.problems.begin(), results_.problems.end());
    results_.problems.erase(std::unique(results_.problems.begin(), results_.problems.end()),
                            results_.problems.end());
    return std::move(results_);
  }

 private:
  // Runs `action`; what it throws becomes a problem under the name of `file`.
  template <class Action>
  void attempt(const std::string& file, Action action) {
    try {
      action();
    } catch (const Error& error) {
      problem(file, error.what());
    } catch (const json::exception& error) {
      problem(file, error.what());
    } catch (const fs::filesystem_error& error) {
      problem(file, error.what());
    }
  }

  void problem(const std::string& file, std::string message) {
    // Messages of a table name the file with its folder already; the report is read beside it.
    const std::string prefix = (folder_ / "").string();
    if (message.starts_with(prefix)) message.erase(0, prefix.size());
    results_.problems.push_back(message.starts_with(file) ? message : file + ": " + message);
  }

  bool exists(const std::string& file) const { return fs::exists(folder_ / file); }

  json read_json(const std::string& file) const {
    std::ifstream stream(folder_ / file, std::ios::binary);
    BASIN_CHECK(stream, file, ": cannot be opened for reading");
    return json::parse(stream);
  }

  static std::optional<double> number(const json& object, const char* key) {
    if (!object.contains(key) || object.at(key).is_null()) return std::nullopt;
    return object.at(key).get<double>();
  }

  void read_plan() {
    if (!exists("plan.json")) return;
    const json plan = read_json("plan.json");
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
    });
    attempt("plan.json", [&] {
      if (!plan.contains("source")) return;
      const json& source = plan.at("source");
      results_.source_data = source.value("data", "");
      results_.source_model = source.value("model", "");
      results_.source_images = source.value("images", std::int64_t{0});
      results_.source_epochs = source.value("epochs", std::int64_t{0});
      results_.source = read_run(source.at("run").get<std::string>());
    });
    for (const json& entry : list(plan, "targets")) {
      attempt("plan.json", [&] { results_.targets.push_back(read_target(entry)); });
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
      target.finetune.push_back(read_run(path));
    }
    for (const auto& path : entry.value("randinit", std::vector<std::string>())) {
      target.randinit.push_back(read_run(path));
    }
    for (const auto& [kind, name] : interpolation_kinds()) {
      const std::string folder = "analyses/interpolate-" + target.name + "-" + kind;
      const std::string file = folder + "/interpolation.csv";
      if (!exists(file)) continue;
      attempt(file, [&] { target.interpolations.emplace(kind, read_interpolation(folder)); });
    }
    target.finetune_rewinding = read_rewinding(target.name, "finetune");
    target.randinit_rewinding = read_rewinding(target.name, "randinit");
    const std::string file = "analyses/distance-" + target.name + "/distance.csv";
    if (exists(file)) attempt(file, [&] { target.distances = read_distances(file); });
    return target;
  }

  Run read_run(const std::string& path) {
    Run run;
    run.path = path;
    if (!exists(path + "/DONE")) return run;
    attempt(run.metrics_path(), [&] {
      const CsvTable table = CsvTable::read(folder_ / run.metrics_path());
      run.metric = table.has_column("test_auc") ? Metric::kAuc : Metric::kAccuracy;
      // Reading every cell once here lets everything after this rely on the table.
      for (const std::string& column : table.columns()) {
        for (std::size_t row = 0; row < table.row_count(); ++row) table.number(row, column);
      }
      for (std::size_t row = 0; row < table.row_count(); ++row) {
        BASIN_CHECK(table.number(row, "epoch"), run.metrics_path(), ": row ", row + 1,
                    " has no epoch");
        table.text(row, *run.metric == Metric::kAuc ? "test_auc" : "test_accuracy");
      }
      run.metrics = table;
    });
    const std::string file = path + "/result.json";
    attempt(file, [&] {
      const json result = read_json(file);
      const json& final = result.at("final");
      const bool auc = final.contains("test_auc");
      run.performance = final.at(auc ? "test_auc" : "test_accuracy").get<double>();
      run.loss = number(final, "test_loss");
      run.seconds = number(result, "seconds");
      run.images_per_second = number(result, "images_per_second");
    });
    return run;
  }

  static Metric metric_of(const CsvTable& table) {
    return table.has_column("auc") ? Metric::kAuc : Metric::kAccuracy;
  }
  static const char* performance_column(Metric metric) {
    return metric == Metric::kAuc ? "auc" : "accuracy";
  }

  // A cell that must not be empty.
  static double required(const CsvTable& table, std::size_t row, const char* column,
                         const std::string& file) {
    const std::optional<double> value = table.number(row, column);
    BASIN_CHECK(value, file, ": row ", row + 1, " has no ", column);
    return *value;
  }

  Interpolation read_interpolation(const std::string& folder) {
    Interpolation line;
    line.csv = folder + "/interpolation.csv";
    const CsvTable table = CsvTable::read(folder_ / line.csv);
    line.metric = metric_of(table);
    for (std::size_t row = 0; row < table.row_count(); ++row) {
      line.lambda.push_back(required(table, row, "lambda", line.csv));
      line.performance.push_back(required(table, row, performance_column(line.metric), line.csv));
      line.loss.push_back(required(table, row, "loss", line.csv));
    }
    line.performance_barrier = barrier_height(line.lambda, line.performance, true);
    line.loss_barrier = barrier_height(line.lambda, line.loss, false);
    const std::string file = folder + "/result.json";
    if (exists(file)) attempt(file, [&] { compare_barriers(file, line); });
    return line;
  }

  // The program writes the barriers it found; the report computes its own from the curve. They
  // disagree only if a file was changed or a rule was, and the reader must know.
  void compare_barriers(const std::string& file, const Interpolation& line) const {
    const json result = read_json(file);
    const auto compare = [&](const char* key, double computed) {
      const std::optional<double> written = number(result, key);
      BASIN_CHECK(!written || !std::isfinite(computed) || std::abs(*written - computed) <= 1e-4,
                  file, ": ", key, " is ", *written, ", but the curve in ", line.csv, " gives ",
                  computed, "; the report shows the latter");
    };
    compare("barrier_accuracy", line.performance_barrier);
    compare("barrier_loss", line.loss_barrier);
  }

  std::optional<Rewinding> read_rewinding(const std::string& target, const std::string& kind) {
    std::optional<Rewinding> result;
    const std::string file = "analyses/rewind-" + target + "-" + kind + "/rewind.csv";
    if (!exists(file)) return result;
    attempt(file, [&] {
      const CsvTable table = CsvTable::read(folder_ / file);
      Rewinding rewinding{file, metric_of(table), {}};
      for (std::size_t row = 0; row < table.row_count(); ++row) {
        rewinding.scores.push_back(
            {table.text(row, "module"),
             required(table, row, performance_column(rewinding.metric), file)});
      }
      result = std::move(rewinding);
    });
    return result;
  }

  Distances read_distances(const std::string& file) const {
    const CsvTable table = CsvTable::read(folder_ / file);
    Distances distances;
    distances.csv = file;
    for (std::size_t row = 0; row < table.row_count(); ++row) {
      const std::string& module = table.text(row, "module");
      distances.values[{table.text(row, "pair"), module}] = {required(table, row, "distance", file),
                                                             required(table, row, "norm_a", file),
                                                             required(table, row, "norm_b", file)};
      const bool known = std::find(distances.modules.begin(), distances.modules.end(), module) !=
                         distances.modules.end();
      if (!known && module != "all" && module != "all_but_fc") distances.modules.push_back(module);
    }
    return distances;
  }

  fs::path folder_;
  Results results_;
};

// ---- What several sections need -----------------------------------------------------------------

std::vector<double> performances(const std::vector<Run>& runs) {
  std::vector<double> values;
  for (const Run& run : runs) {
    if (run.usable()) values.push_back(*run.performance);
  }
  return values;
}

// The metric of the target's runs; accuracy where there is none yet.
Metric metric_of(const Target& target) {
  for (const std::vector<Run>* runs : {&target.finetune, &target.randinit}) {
    for (const Run& run : *runs) {
      if (run.usable()) return *run.metric;
    }
  }
  return Metric::kAccuracy;
}

// The measurements of runs with the same number, where both kinds have one.
struct Pairs {
  std::vector<double> finetune, randinit;
};
template <class Measure>
Pairs pair_up(const Target& target, Measure measure) {
  Pairs pairs;
  const std::size_t count = std::min(target.finetune.size(), target.randinit.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (!target.finetune[i].usable() || !target.randinit[i].usable()) continue;
    const std::optional<double> finetune = measure(target.finetune[i]);
    const std::optional<double> randinit = measure(target.randinit[i]);
    if (!finetune || !randinit) continue;
    pairs.finetune.push_back(*finetune);
    pairs.randinit.push_back(*randinit);
  }
  return pairs;
}

std::string column_name(const char* split, Metric metric) {
  return std::string(split) + (metric == Metric::kAuc ? "_auc" : "_accuracy");
}

// The paper's measure of speed: the mean over the epochs of the training performance in evaluation
// mode. Nothing where an epoch was not measured.
std::optional<double> training_speed(const Run& run) {
  const std::string column = column_name("train_eval", *run.metric);
  if (!run.metrics->has_column(column)) return std::nullopt;
  std::vector<double> values;
  for (std::size_t row = 0; row < run.metrics->row_count(); ++row) {
    if (*run.metrics->number(row, "epoch") == 0) continue;
    const std::optional<double> value = run.metrics->number(row, column);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  return mean(values);
}

// Per epoch the mean over runs and, from two runs on, its 95 % interval.
struct Curve {
  std::vector<double> epoch, mean, lower, upper;
  std::vector<std::size_t> n;
};

Curve average_curve(const std::vector<Run>& runs, const char* split) {
  std::map<double, std::vector<double>> by_epoch;
  for (const Run& run : runs) {
    if (!run.usable()) continue;
    const std::string column = column_name(split, *run.metric);
    if (!run.metrics->has_column(column)) continue;
    for (std::size_t row = 0; row < run.metrics->row_count(); ++row) {
      const std::optional<double> value = run.metrics->number(row, column);
      if (value) by_epoch[*run.metrics->number(row, "epoch")].push_back(*value);
    }
  }
  Curve curve;
  for (const auto& [epoch, values] : by_epoch) {
    curve.epoch.push_back(epoch);
    curve.mean.push_back(mean(values));
    curve.n.push_back(values.size());
    const bool several = values.size() >= 2;
    const MeanInterval interval =
        several ? mean_interval(values) : MeanInterval{0, kMissing, kMissing, 1};
    curve.lower.push_back(interval.lower);
    curve.upper.push_back(interval.upper);
  }
  return curve;
}

// Fractions as the charts show them: accuracy in per cent.
double shown(Metric metric, double value) {
  return metric == Metric::kAccuracy ? 100 * value : value;
}
std::vector<double> shown(Metric metric, std::vector<double> values) {
  for (double& value : values) value = shown(metric, value);
  return values;
}
std::string axis_label(const std::string& what, Metric metric) {
  return what + (metric == Metric::kAccuracy ? " accuracy (%)" : " mean AUC");
}
double ceiling(Metric metric) {
  return metric == Metric::kAccuracy ? 100 : 1;
}
int chart_decimals(Metric metric) {
  return metric == Metric::kAccuracy ? 1 : 3;
}

std::string on_paper_target(const Target& target, const PaperNumbers& paper) {
  return target.name == paper.name ? "" : fmt::format(" (target: {})", paper.name);
}

std::string duration(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

// ---- Claims -------------------------------------------------------------------------------------

std::optional<BarrierMeasurement> barrier_of(const Target& target, const std::string& kind) {
  const auto found = target.interpolations.find(kind);
  if (found == target.interpolations.end()) return std::nullopt;
  const Interpolation& line = found->second;
  return BarrierMeasurement{line.performance_barrier, line.performance.front(),
                            line.performance.back(), target.test_size};
}

Metric interpolation_metric(const Target& target, const std::string& kind) {
  const auto found = target.interpolations.find(kind);
  return found == target.interpolations.end() ? Metric::kAccuracy : found->second.metric;
}

// The distance over all parameters; over all but the classifier for pairs with the pre-trained
// network, whose classifier has another shape.
std::optional<double> total_distance(const Target& target, const std::string& pair) {
  if (!target.distances) return std::nullopt;
  const bool with_pretrained = pair.ends_with("-pretrained");
  const auto found = target.distances->find(pair, with_pretrained ? "all_but_fc" : "all");
  if (!found) return std::nullopt;
  return found->distance;
}

// One claim over all targets. `judge` gives the judgement, `paper` the paper's figure or "".
template <class Judge, class Paper>
Claim make_claim(const Results& results, std::string statement, std::string rule, Judge judge,
                 Paper paper) {
  Claim claim;
  claim.statement = std::move(statement);
  claim.rule = std::move(rule);
  for (const Target& target : results.targets) {
    const PaperNumbers* numbers = paper_numbers(target.name);
    const std::string figure = numbers ? paper(*numbers) : std::string();
    Finding& finding = claim.findings.emplace_back();
    finding.target = target.name;
    finding.judgement = judge(target);
    finding.paper =
        figure.empty() ? "no figure for this target" : figure + on_paper_target(target, *numbers);
  }
  if (claim.findings.empty()) {
    Finding& finding = claim.findings.emplace_back();
    finding.target = "All targets";
    finding.judgement.measured = "no target in this folder";
    finding.paper = "see the sections below";
  }
  return claim;
}

std::string performance_pair(const PaperNumbers& paper, double finetune, double randinit) {
  const Metric metric = paper.is_auc ? Metric::kAuc : Metric::kAccuracy;
  return fmt::format("{} against {}", format_performance(metric, finetune),
                     format_performance(metric, randinit));
}

std::vector<Claim> claims_of(const Results& results) {
  const auto helps = [](const Target& target) {
    const Pairs pairs = pair_up(target, [](const Run& run) { return run.performance; });
    return judge_transfer_helps(metric_of(target), pairs.finetune, pairs.randinit);
  };
  const auto faster = [](const Target& target) {
    const Pairs pairs = pair_up(target, training_speed);
    return judge_transfer_helps(metric_of(target), pairs.finetune, pairs.randinit);
  };
  const auto no_barrier = [](const Target& target) {
    return judge_no_barrier(interpolation_metric(target, "finetune-finetune"),
                            barrier_of(target, "finetune-finetune"));
  };
  const auto barrier = [](const char* kind) {
    return [kind](const Target& target) {
      return judge_barrier(interpolation_metric(target, kind), barrier_of(target, kind));
    };
  };
  const auto closer = [](const Target& target) {
    return judge_closer(total_distance(target, "finetune-finetune"),
                        total_distance(target, "randinit-randinit"));
  };
  const auto scores = [](const std::optional<Rewinding>& rewinding) {
    return rewinding ? rewinding->scores : std::vector<ModuleScore>();
  };
  const auto rewinding = [&](const Target& target) {
    return judge_rewinding(metric_of(target), scores(target.finetune_rewinding),
                           scores(target.randinit_rewinding));
  };
  const auto classifier = [&](const Target& target) {
    return judge_classifier(metric_of(target), scores(target.finetune_rewinding));
  };
  const auto line = [](const char* text) { return std::string(text ? text : ""); };

  std::vector<Claim> claims;
  claims.push_back(make_claim(
      results, "P-T beats RI-T: transfer raises final test performance", kTransferHelpsRule, helps,
      [](const PaperNumbers& p) { return performance_pair(p, p.finetune, p.randinit); }));
  claims.push_back(make_claim(
      results, "P-T learns faster than RI-T",
      fmt::format("Speed is the mean over all epochs of the training {} in evaluation mode. {}",
                  "performance", kTransferHelpsRule),
      faster, [](const PaperNumbers& p) {
        return p.finetune_speed > 0
                   ? performance_pair(p, p.finetune_speed, p.randinit_speed) + ", no augmentation"
                   : std::string();
      }));
  claims.push_back(make_claim(results, "No barrier between two P-T: they lie in one basin",
                              kNoBarrierRule, no_barrier,
                              [&](const PaperNumbers& p) { return line(p.finetune_line); }));
  claims.push_back(make_claim(results, "A barrier between two RI-T", kBarrierRule,
                              barrier("randinit-randinit"),
                              [&](const PaperNumbers& p) { return line(p.randinit_line); }));
  claims.push_back(make_claim(results, "A barrier between RI-T and P-T", kBarrierRule,
                              barrier("randinit-finetune"),
                              [&](const PaperNumbers& p) { return line(p.mixed_line); }));
  claims.push_back(make_claim(results, "Two P-T are closer than two RI-T in parameter space",
                              kCloserRule, closer, [](const PaperNumbers& p) {
                                return fmt::format("{:.2f} against {:.2f} (ratio {:.2f})",
                                                   p.finetune_pair, p.randinit_pair,
                                                   p.finetune_pair / p.randinit_pair);
                              }));
  claims.push_back(make_claim(
      results, "Rewinding the stem or the first block of a stage hurts RI-T more than P-T",
      kRewindingRule, rewinding, [](const PaperNumbers& p) {
        return p.is_auc ? "mean change \u22120.081 to \u22120.092 in RI-T, \u22120.011 in P-T"
                        : std::string();
      }));
  claims.push_back(make_claim(results, "In P-T the classifier is the module that matters most",
                              kClassifierRule, classifier, [](const PaperNumbers& p) {
                                return p.is_auc ? "fc \u22120.041; next layer4.2, \u22120.024"
                                                : std::string();
                              }));
  return claims;
}

Claim claims_not_examined() {
  Claim claim;
  claim.statement = "Further claims of the paper";
  claim.rule =
      "Not examined by this run. They are listed so that the summary is not taken for the whole "
      "paper.";
  const auto add = [&](const char* name, const char* paper) {
    Finding& finding = claim.findings.emplace_back();
    finding.target = name;
    finding.judgement.measured = "no experiment in this folder";
    finding.paper = paper;
  };
  add("Block shuffling",
      "the gain from transfer shrinks with the block size on real and clipart; the gain in speed "
      "stays");
  add("Shared mistakes", "two P-T err on the same images, two RI-T do not");
  add("Feature similarity", "CKA of two P-T is high, that of pairs with RI-T near 0");
  add("Module criticality", "in P-T it grows towards the output");
  add("Early checkpoints", "fine-tuning may start from a checkpoint before the last at no loss");
  return claim;
}

// ---- Sections -----------------------------------------------------------------------------------

void write_summary(const Results& results, ReportPage& page) {
  page.section("claims", "Claims and verdicts");
  std::vector<Claim> claims = claims_of(results);
  std::map<Verdict, int> counts;
  int total = 0;
  for (const Claim& claim : claims) {
    for (const Finding& finding : claim.findings) {
      ++counts[finding.judgement.verdict];
      ++total;
    }
  }
  page.paragraph(fmt::format(
      "P is the pre-trained network, P-T a network fine-tuned on the target from P with a fresh "
      "classifier, RI-T one trained on the target from random initialisation. Of {} verdicts "
      "(claim and target), {} are reproduced, {} not reproduced, {} rest on too little data and {} "
      "were not run.",
      total, counts[Verdict::kReproduced], counts[Verdict::kNotReproduced],
      counts[Verdict::kNotEnough], counts[Verdict::kNotRun]));
  const bool derived = std::any_of(results.targets.begin(), results.targets.end(),
                                   [](const Target& t) { return t.data.starts_with("fashion/"); });
  if (derived) {
    page.note(
        "The networks and images here are far smaller than the paper\u2019s, so compare directions "
        "and ratios, not sizes. The clipart and quickdraw domains are derived from the photos by "
        "program, not drawn by people: they show direction only. The photo domain stands for the "
        "paper\u2019s real, mosaic for CheXpert.");
  }
  page.verdicts(claims);
  claims.push_back(claims_not_examined());
  for (const Claim& claim : claims) page.claim(claim);
}

void write_sheets(const fs::path& folder, Results& results, ReportPage& page) {
  page.section("images", "Sample images of each domain");
  std::vector<Figure> figures;
  for (const Sheet& sheet : results.sheets) {
    if (!fs::exists(folder / sheet.image)) {
      page.not_run("Sample images of " + sheet.data + ".");
      continue;
    }
    try {
      figures.push_back({embedded_png(folder / sheet.image, "Sample images of " + sheet.data),
                         "Sample images of " + sheet.data + ".",
                         {}});
    } catch (const Error& error) {
      page.note(fmt::format("{} could not be shown: {}", sheet.image, error.what()), true);
    }
  }
  if (!figures.empty()) page.figures(figures);
  if (results.sheets.empty()) page.not_run("Sample images.");
}

LineSeries run_series(const Run& run, const std::string& column, const std::string& name, int style,
                      double factor) {
  LineSeries series{name, style, {}, {}, {}, {}};
  if (!run.metrics->has_column(column)) return series;
  for (std::size_t row = 0; row < run.metrics->row_count(); ++row) {
    const std::optional<double> value = run.metrics->number(row, column);
    if (!value) continue;
    series.x.push_back(*run.metrics->number(row, "epoch"));
    series.y.push_back(factor * *value);
  }
  return series;
}

// Adds the series to the chart unless it has no point.
void add_series(LineChart& chart, LineSeries series) {
  if (!series.x.empty()) chart.series.push_back(std::move(series));
}

void write_pretraining(const Results& results, ReportPage& page) {
  page.section("pretraining", "Pre-training");
  if (!results.source || !results.source->usable()) {
    page.not_run("The pre-training run.");
    return;
  }
  const Run& run = *results.source;
  page.paragraph(fmt::format(
      "Network {}, trained for {} epochs on {} images of {}. Final test {}: {}.",
      results.source_model, results.source_epochs, results.source_images, results.source_data,
      metric_name(*run.metric), format_performance(*run.metric, *run.performance)));
  const std::vector<Link> data = {{"metrics.csv", run.metrics_path()}};
  LineChart performance;
  performance.description = "Performance of the network over pre-training";
  performance.x_label = "Epoch";
  performance.y_label = axis_label("Source", *run.metric);
  performance.integer_x = true;
  performance.y_floor = 0;
  performance.y_ceiling = ceiling(*run.metric);
  performance.decimals = chart_decimals(*run.metric);
  const double factor = shown(*run.metric, 1.0);
  add_series(performance,
             run_series(run, column_name("test", *run.metric), "Test images", 0, factor));
  add_series(performance, run_series(run, column_name("train_eval", *run.metric),
                                     "Training images, evaluation mode", 3, factor));
  LineChart loss;
  loss.description = "Loss of the network over pre-training";
  loss.x_label = "Epoch";
  loss.y_label = "Source loss (nats)";
  loss.integer_x = true;
  loss.y_floor = 0;
  loss.decimals = 3;
  add_series(loss, run_series(run, "test_loss", "Test images", 0, 1));
  add_series(loss, run_series(run, "train_eval_loss", "Training images, evaluation mode", 3, 1));
  page.figures({{line_chart(performance),
                 "Pre-training: performance after each epoch; epoch 0 is before training.", data},
                {line_chart(loss), "Pre-training: loss after each epoch.", data}});
}

// Writes the curves of a learning chart and returns the link to them.
std::vector<Link> write_curves(const fs::path& folder, const std::string& name,
                               const Curve& finetune, const Curve& randinit) {
  CsvTable table({"kind", "epoch", "mean", "lower", "upper", "n"});
  const auto cell = [](double value) { return std::isnan(value) ? "" : csv_number(value); };
  const auto append = [&](const char* kind, const Curve& curve) {
    for (std::size_t i = 0; i < curve.epoch.size(); ++i) {
      table.add_row({kind, csv_number(curve.epoch[i]), csv_number(curve.mean[i]),
                     cell(curve.lower[i]), cell(curve.upper[i]), std::to_string(curve.n[i])});
    }
  };
  append("finetune", finetune);
  append("randinit", randinit);
  const std::string file = "figures/" + name + ".csv";
  fs::create_directories(folder / "figures");
  table.write(folder / file);
  return {{name + ".csv", file}};
}

std::string count_text(std::size_t done, std::size_t planned) {
  return done == planned ? fmt::format("n = {}", done) : fmt::format("n = {} of {}", done, planned);
}

std::optional<Figure> learning_figure(const fs::path& folder, const Target& target,
                                      const char* split, const std::string& what,
                                      const std::string& caption) {
  const Metric metric = metric_of(target);
  const Curve finetune = average_curve(target.finetune, split);
  const Curve randinit = average_curve(target.randinit, split);
  if (finetune.epoch.empty() && randinit.epoch.empty()) return std::nullopt;
  LineChart chart;
  chart.description = what + " performance on " + target.name + " over training";
  chart.x_label = "Epoch";
  chart.y_label = fmt::format("{}: {}", target.name, axis_label(what, metric));
  chart.integer_x = true;
  chart.y_floor = 0;
  chart.y_ceiling = ceiling(metric);
  chart.decimals = chart_decimals(metric);
  const auto add = [&](const Curve& curve, const std::vector<Run>& runs, const char* name,
                       int style) {
    add_series(chart,
               {fmt::format("{} ({})", name, count_text(performances(runs).size(), runs.size())),
                style, curve.epoch, shown(metric, curve.mean), shown(metric, curve.lower),
                shown(metric, curve.upper)});
  };
  add(finetune, target.finetune, "P-T", kFinetuneStyle);
  add(randinit, target.randinit, "RI-T", kRandinitStyle);
  return Figure{
      line_chart(chart), caption,
      write_curves(folder, fmt::format("learning-{}-{}", target.name, split), finetune, randinit)};
}

TableCell summary_cell(Metric metric, const std::vector<double>& values, std::size_t planned) {
  if (values.empty()) return {"not run", ""};
  const std::string count = count_text(values.size(), planned);
  if (values.size() < 2) {
    return {format_performance(metric, values[0]), count + ", no interval"};
  }
  const MeanInterval interval = mean_interval(values);
  return {format_performance(metric, interval.mean),
          fmt::format("{} to {}, {}", format_performance(metric, interval.lower),
                      format_performance(metric, interval.upper), count)};
}

void write_learning(const fs::path& folder, const Results& results, ReportPage& page) {
  page.section("learning", "Learning curves: P-T against RI-T");
  if (results.targets.empty()) {
    page.not_run("Training on a target.");
    return;
  }
  Table table;
  table.caption =
      "Final test performance: mean over runs with its 95 % confidence interval, and the paired "
      "difference. Paper: Figure 2, read off the plot.";
  table.header = {"Target", "P-T", "RI-T", "P-T \u2212 RI-T", "Paper: P-T / RI-T"};
  bool few_runs = false;
  std::vector<Figure> figures;
  std::map<Metric, BarChart> finals;
  for (const Target& target : results.targets) {
    const Metric metric = metric_of(target);
    const std::vector<double> finetune = performances(target.finetune);
    const std::vector<double> randinit = performances(target.randinit);
    if (finetune.empty() && randinit.empty()) {
      page.not_run("Training on " + target.name + ".");
    }
    TableCell difference{"not run", ""};
    const Pairs pairs = pair_up(target, [](const Run& run) { return run.performance; });
    if (pairs.finetune.size() == 1) {
      difference = {format_difference(metric, pairs.finetune[0] - pairs.randinit[0]),
                    "n = 1, no interval"};
    } else if (pairs.finetune.size() >= 2) {
      const PairedDifference test = paired_difference(pairs.finetune, pairs.randinit);
      few_runs = few_runs || test.difference.n == 2;
      const std::string p =
          test.p_value < 0.001 ? "p < 0.001" : fmt::format("p = {:.3f}", test.p_value);
      difference = {
          format_difference(metric, test.difference.mean),
          fmt::format("{}, n = {}, {}",
                      format_interval(metric, test.difference.lower, test.difference.upper),
                      test.difference.n, p)};
    }
    const PaperNumbers* paper = paper_numbers(target.name);
    TableCell reference{"no figure", ""};
    if (paper) {
      const Metric paper_metric = paper->is_auc ? Metric::kAuc : Metric::kAccuracy;
      reference = {fmt::format("{} / {}", format_performance(paper_metric, paper->finetune),
                               format_performance(paper_metric, paper->randinit)),
                   paper->name};
    }
    table.rows.push_back(
        {{target.name, fmt::format("{} images, {} epochs", target.train_size, target.epochs)},
         summary_cell(metric, finetune, target.finetune.size()),
         summary_cell(metric, randinit, target.randinit.size()),
         difference,
         reference});

    if (const auto figure = learning_figure(
            folder, target, "test", "Test",
            fmt::format("{}: test {} after each epoch. Line: mean over runs; band: 95 % confidence "
                        "interval of the mean.",
                        target.name, metric_name(metric)))) {
      figures.push_back(*figure);
    }
    if (const auto figure = learning_figure(
            folder, target, "train_eval", "Training",
            fmt::format("{}: {} on the training images in evaluation mode, the measure of speed.",
                        target.name, metric_name(metric)))) {
      figures.push_back(*figure);
    }

    BarChart& chart = finals[metric];
    if (chart.series.empty()) {
      chart.series = {{"P-T", kFinetuneStyle, {}, {}, {}, {}},
                      {"RI-T", kRandinitStyle, {}, {}, {}, {}}};
    }
    if (finetune.empty() && randinit.empty()) continue;
    chart.categories.push_back(target.name);
    for (std::size_t s = 0; s < 2; ++s) {
      const std::vector<double>& values = s == 0 ? finetune : randinit;
      const MeanInterval interval =
          values.size() >= 2
              ? mean_interval(values)
              : MeanInterval{values.empty() ? kMissing : values[0], kMissing, kMissing, 1};
      chart.series[s].values.push_back(shown(metric, interval.mean));
      chart.series[s].lower.push_back(shown(metric, interval.lower));
      chart.series[s].upper.push_back(shown(metric, interval.upper));
    }
  }
  page.table(table);
  if (few_runs) {
    page.note(
        "With two runs Student\u2019s t has one degree of freedom and its 95 % factor is 12.7: the "
        "intervals are wide because two runs say little about the spread, not because the runs "
        "disagree.");
  }
  std::vector<Figure> final_figures;
  for (auto& [metric, chart] : finals) {
    if (chart.categories.empty()) continue;
    chart.description = "Final test performance of P-T and RI-T by target";
    chart.value_label = axis_label("Final test", metric);
    chart.ceiling = ceiling(metric);
    chart.decimals = chart_decimals(metric);
    final_figures.push_back(
        {bar_chart(chart),
         "Final test performance by target: mean over runs; whisker: 95 % confidence interval of "
         "the mean.",
         {}});
  }
  figures.insert(figures.begin(), final_figures.begin(), final_figures.end());
  if (!figures.empty()) page.figures(figures);
}

void write_interpolation(const Results& results, ReportPage& page) {
  page.section("interpolation", "Performance on the line between two networks");
  page.paragraph(
      "Every parameter is interpolated, (1 \u2212 \u03bb) times the first network plus \u03bb "
      "times the second, and the result evaluated on the test set. A dip below the ends is a "
      "barrier: the two networks lie in different basins.");
  Table table;
  table.caption =
      "Barriers: the largest distance of the curve from the straight line between its ends, below "
      "it for performance, above it for loss. Paper: Figures 4 and 16.";
  table.header = {"Target and pair", "Ends", "Performance barrier", "Loss barrier", "Paper"};
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    if (target.interpolations.empty()) {
      page.not_run("Interpolation on " + target.name + ".");
      continue;
    }
    const Metric metric = target.interpolations.begin()->second.metric;
    LineChart performance, loss;
    performance.description = "Test performance between two networks on " + target.name;
    performance.x_label = loss.x_label = "Interpolation \u03bb";
    performance.y_label = target.name + ": " + axis_label("Test", metric);
    performance.y_floor = 0;
    performance.y_ceiling = ceiling(metric);
    performance.decimals = chart_decimals(metric);
    loss.description = "Test loss between two networks on " + target.name;
    loss.y_label = target.name + ": Test loss (nats)";
    loss.y_floor = 0;
    loss.decimals = 3;
    std::vector<Link> data;
    const PaperNumbers* paper = paper_numbers(target.name);
    int style = 0;
    for (const auto& [kind, name] : interpolation_kinds()) {
      const int kind_style = style++;
      const char* reference = nullptr;
      if (paper) {
        reference = kind_style == kFinetuneStyle   ? paper->finetune_line
                    : kind_style == kRandinitStyle ? paper->randinit_line
                                                   : paper->mixed_line;
      }
      const std::string reference_text = reference ? reference : "no figure";
      const auto found = target.interpolations.find(kind);
      if (found == target.interpolations.end() || found->second.metric != metric) {
        table.rows.push_back({{target.name + ", " + name, ""},
                              {"not run", ""},
                              {"", ""},
                              {"", ""},
                              {reference_text, ""}});
        continue;
      }
      const Interpolation& line = found->second;
      data.push_back({name, line.csv});
      performance.series.push_back(
          {name, kind_style, line.lambda, shown(metric, line.performance), {}, {}});
      loss.series.push_back({name, kind_style, line.lambda, line.loss, {}, {}});
      table.rows.push_back(
          {{target.name + ", " + name, ""},
           {fmt::format("{} and {}", format_performance(metric, line.performance.front()),
                        format_performance(metric, line.performance.back())),
            ""},
           {format_size(metric, line.performance_barrier), ""},
           {std::isfinite(line.loss_barrier) ? fmt::format("{:.3f}", line.loss_barrier)
                                             : "unbounded",
            ""},
           {reference_text, ""}});
    }
    figures.push_back(
        {line_chart(performance),
         fmt::format("{}: test {} between two networks.", target.name, metric_name(metric)), data});
    figures.push_back(
        {line_chart(loss), fmt::format("{}: test loss on the same lines.", target.name), data});
  }
  if (results.targets.empty()) page.not_run("Interpolation.");
  if (!figures.empty()) {
    page.figures(figures);
    page.table(table);
  }
}

void write_rewinding(const Results& results, ReportPage& page) {
  page.section("rewinding", "Rewinding one module to its start value");
  page.paragraph(
      "One module is set back to its value before training on the target, all others stay: in P-T "
      "that is the pre-trained value (for fc the fresh random one), in RI-T the random initial "
      "value. The paper shows this on CheXpert (Figure 5): rewinding hardly matters in P-T except "
      "for fc, while in RI-T the stem and the first block of each stage are critical.");
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    const std::optional<Rewinding>* both[] = {&target.finetune_rewinding,
                                              &target.randinit_rewinding};
    if (!*both[0] && !*both[1]) {
      page.not_run("Rewinding on " + target.name + ".");
      continue;
    }
    const Metric metric = (*both[0] ? **both[0] : **both[1]).metric;
    BarChart chart;
    chart.description = "Performance after rewinding each module on " + target.name;
    chart.value_label = target.name + ": " + axis_label("Test", metric) + " after rewinding";
    chart.ceiling = ceiling(metric);
    chart.decimals = chart_decimals(metric);
    std::vector<Link> data;
    for (const auto* rewinding : both) {
      if (!*rewinding) continue;
      for (const ModuleScore& score : (*rewinding)->scores) {
        if (std::find(chart.categories.begin(), chart.categories.end(), score.module) ==
            chart.categories.end()) {
          chart.categories.push_back(score.module);
        }
      }
    }
    for (int s = 0; s < 2; ++s) {
      const char* name = s == 0 ? "P-T" : "RI-T";
      if (!*both[s]) {
        page.not_run(fmt::format("Rewinding of {} on {}.", name, target.name));
        continue;
      }
      BarSeries series{name,
                       s == 0 ? kFinetuneStyle : kRandinitStyle,
                       std::vector<double>(chart.categories.size(), kMissing),
                       {},
                       {},
                       {}};
      for (const ModuleScore& score : (*both[s])->scores) {
        const auto place =
            std::find(chart.categories.begin(), chart.categories.end(), score.module);
        series.values[static_cast<std::size_t>(place - chart.categories.begin())] =
            shown(metric, score.performance);
        if (score.module == "none") series.reference = shown(metric, score.performance);
      }
      chart.series.push_back(std::move(series));
      data.push_back({name, (*both[s])->csv});
    }
    figures.push_back({bar_chart(chart),
                       fmt::format("{}: test {} with one module rewound. Dashed: nothing rewound.",
                                   target.name, metric_name(metric)),
                       data});
  }
  if (results.targets.empty()) page.not_run("Rewinding.");
  if (!figures.empty()) page.figures(figures);
}

void write_distances(const Results& results, ReportPage& page) {
  page.section("distances", "Distances in parameter space");
  Table table;
  table.caption =
      "l2 distance between two networks, over all parameters for pairs trained on the target, "
      "without the classifier for pairs with P; relative: divided by the root mean square of the "
      "two norms, so 1.41 (\u221a2) for orthogonal networks. Paper: Table 2.";
  table.header = {"Target"};
  for (const auto& [pair, name] : distance_pairs()) table.header.push_back(name);
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    if (!target.distances) {
      page.not_run("Distances on " + target.name + ".");
      continue;
    }
    const Distances& distances = *target.distances;
    table.data.push_back({target.name, distances.csv});
    std::vector<TableCell> row = {{target.name, ""}};
    HeatMap map;
    map.description = "Relative distance per module on " + target.name;
    map.value_label = target.name + ": relative l2 distance per module";
    map.rows = distances.modules;
    map.values.resize(map.rows.size());
    for (const auto& [pair, name] : distance_pairs()) {
      const auto total = distances.find(pair, pair.ends_with("-pretrained") ? "all_but_fc" : "all");
      row.push_back(total ? TableCell{fmt::format("{:.2f}", total->distance),
                                      fmt::format("relative {:.2f}", total->relative())}
                          : TableCell{"not run", ""});
      map.columns.push_back(name);
      for (std::size_t m = 0; m < map.rows.size(); ++m) {
        const auto value = distances.find(pair, map.rows[m]);
        map.values[m].push_back(value ? value->relative() : kMissing);
      }
    }
    table.rows.push_back(std::move(row));
    if (const PaperNumbers* paper = paper_numbers(target.name)) {
      const auto text = [](double value) { return TableCell{fmt::format("{:.2f}", value), ""}; };
      table.rows.push_back({{fmt::format("Paper: {}", paper->name), ""},
                            text(paper->finetune_pair),
                            text(paper->randinit_pair),
                            text(paper->finetune_pretrained),
                            text(paper->randinit_pretrained)});
    }
    if (!map.rows.empty()) {
      figures.push_back({heat_map(map),
                         fmt::format("{}: distance of each module, divided by the root mean square "
                                     "of its two norms.",
                                     target.name),
                         {{"distance.csv", distances.csv}}});
    }
  }
  if (results.targets.empty()) page.not_run("Distances.");
  if (!table.rows.empty()) page.table(table);
  if (!figures.empty()) page.figures(figures);
}

void write_runs(const Results& results, ReportPage& page) {
  page.section("runs", "The runs");
  if (!results.cpu.empty() || !results.commit.empty()) {
    page.paragraph(fmt::format("Machine: {}, {} threads. Program version: {}.", results.cpu,
                               results.threads, results.commit));
  }
  Table table;
  table.caption = "Every training run of the plan. Final values are those after the last epoch.";
  table.header = {"Run", "Test performance", "Test loss", "Time", "Images per second"};
  const auto add = [&](const Run& run) {
    if (!run.usable()) {
      table.rows.push_back({{run.path, ""}, {"not run", ""}, {"", ""}, {"", ""}, {"", ""}});
      return;
    }
    table.rows.push_back(
        {{run.path, ""},
         {format_performance(*run.metric, *run.performance), ""},
         {run.loss ? fmt::format("{:.3f}", *run.loss) : "", ""},
         {run.seconds ? duration(*run.seconds) : "", ""},
         {run.images_per_second ? fmt::format("{:.0f}", *run.images_per_second) : "", ""}});
  };
  if (results.source) add(*results.source);
  for (const Target& target : results.targets) {
    for (const Run& run : target.finetune) add(run);
    for (const Run& run : target.randinit) add(run);
  }
  if (table.rows.empty()) {
    page.not_run("Training runs.");
  } else {
    page.table(table);
  }
}

std::string subtitle_of(const Results& results) {
  std::string subtitle =
      "Experiments of \u201cWhat is being transferred in transfer learning?\u201d (Neyshabur, "
      "Sedghi, Zhang, NeurIPS 2020), measured.";
  if (!results.preset.empty()) subtitle += fmt::format(" Preset {}.", results.preset);
  if (!results.started.empty()) subtitle += fmt::format(" Started {}.", results.started);
  if (results.seconds) subtitle += fmt::format(" Took {}.", duration(*results.seconds));
  return subtitle;
}

}  // namespace

void write_report(const fs::path& folder) {
  BASIN_CHECK(fs::is_directory(folder), folder.string(),
              ": no such folder; give the folder a plan wrote its results to");
  Results results = Reader(folder).read();
  ReportPage page(results.title.empty() ? "What is being transferred: results" : results.title,
                  subtitle_of(results));
  if (!results.planned) {
    page.note("plan.json is missing or damaged, so nothing in this folder could be placed.", true);
  }
  if (!results.problems.empty()) {
    page.section("problems", "Damaged files");
    page.paragraph("These files could not be used; everything else is reported below.");
    page.list(results.problems, true);
  }
  write_summary(results, page);
  write_sheets(folder, results, page);
  write_pretraining(results, page);
  write_learning(folder, results, page);
  write_interpolation(results, page);
  write_rewinding(results, page);
  write_distances(results, page);
  write_runs(results, page);

  const fs::path path = folder / "report.html";
  const fs::path temporary = folder / "report.html.writing";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    BASIN_CHECK(file, temporary.string(), ": cannot be opened for writing");
    file << page.html();
    file.flush();
    BASIN_CHECK(file, temporary.string(), ": writing failed; is the disk full?");
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  BASIN_CHECK(!error, path.string(), ": cannot be replaced: ", error.message());
}

}  // namespace basin
