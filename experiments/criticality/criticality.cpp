// Paths, heat maps, and the search for the smallest admissible cell.
#include "experiments/criticality/criticality.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "data/subset.h"
#include "engine/files.h"
#include "engine/safetensors.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"
#include "experiments/program/sweep.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoiseSeed = 1;
constexpr int64_t kScalarDraws = 5;
// Small: a cell far above the limit is given up after one of them.
constexpr int64_t kBatch = 100;
// Cells of one path that a round of the search tries. More waste evaluations beyond the smallest
// admissible one, fewer take more passes through the modules in front.
constexpr size_t kCellsPerRound = 2;

constexpr const char* kPaths[] = {"direct", "optimization"};

double value_of(const CriticalityCell& cell) {
  return cell.distance * cell.distance / (cell.sigma * cell.sigma);
}

// The means over the draws of one cell.
struct CellMeans {
  double loss = 0, error = 0, score = 0;
  double of(LossKind kind) const { return kind == LossKind::kError ? error : loss; }
};

// One module on one of its paths.
struct ModulePath {
  std::string module;
  size_t path;  // index of kPaths
  double end_distance;
  double noise_scale;             // sigma of a weight = noise_scale * noise
  std::vector<PathPoint> points;  // one a column, on checkpoints
  std::vector<CellMeans> heat;    // by column, then row; empty without a map
  std::optional<Criticality> criticality;
};

class CriticalityRun {
 public:
  CriticalityRun(const CriticalityOptions& options, Session& session)
      : options_(options), session_(session), kind_(parse_loss(options.loss)) {
    BASIN_CHECK(cells() * scalar_draws() < (1 << 24),
                "--distances * --noise-levels * --draws is too large: ", columns(), " * ", rows(),
                " * ", options.draws);
    load_checkpoints();
    network_ = scratch_network(*knots_.back(), session);
    const data::DataSplits splits = load_run_data(options.data, options.run, session);
    set_ = std::make_unique<EvaluationSet>(
        data::evenly_spaced(splits.train_evaluation, options.images),
        data::LoaderOptions{.batch_size = kBatch}, session);
    statistics_ = statistics_set(*network_, splits.train_evaluation, session);
    sweep_ = std::make_unique<Sweep>(*network_, end(), *set_, statistics_.get(), session);
    add_paths();
  }

  void run() {
    const auto start = std::chrono::steady_clock::now();
    const Evaluation at_end = sweep_->evaluate({{end().modules().back(), [](Network&) {}}})[0];
    limit_ = (1 + options_.tolerance) * loss_of(at_end, kind_);
    if (!options_.scalar_only) {
      evaluate_map();
      write_map();
    }
    search();
    write_scalars(at_end);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    session_.log.message(fmt::format("{}: {} images evaluated in {:.1f} s, {:.0f} images/s",
                                     options_.out.string(), sweep_->evaluated(), seconds,
                                     static_cast<double>(sweep_->evaluated()) / seconds));
  }

 private:
  int64_t columns() const { return options_.distances; }
  int64_t rows() const { return options_.noise_levels; }
  int64_t cells() const { return columns() * rows(); }
  int64_t scalar_draws() const { return std::max(kScalarDraws, options_.draws); }
  const State& end() const { return knots_.back()->state(); }
  double noise_of(int64_t row) const {
    return options_.noise_max * static_cast<double>(row) / static_cast<double>(rows() - 1);
  }
  double distance_of(const ModulePath& path, int64_t column) const {
    return path.end_distance * static_cast<double>(column) / static_cast<double>(columns() - 1);
  }
  double sigma_of(const ModulePath& path, int64_t row) const {
    return path.noise_scale * noise_of(row);
  }

  // The epochs before the end point's, and the end point.
  void load_checkpoints() {
    const fs::path last = options_.run / "checkpoints" /
                          (options_.end_point == "best" ? "best.safetensors" : "last.safetensors");
    const SafetensorsReader reader(last);
    const auto epoch = reader.metadata().find("epoch");
    BASIN_CHECK(epoch != reader.metadata().end(), last.string(),
                " does not say of which epoch it is");
    epoch_ = std::stoll(epoch->second);
    const std::vector<int64_t> saved = saved_epochs(options_.run);
    BASIN_CHECK(saved.front() == 0, options_.run.string(), " has no checkpoint of epoch 0");
    for (const int64_t before : saved) {
      if (before >= epoch_) break;
      knots_.push_back(load_network(epoch_checkpoint(options_.run, before), "", session_));
    }
    knots_.push_back(load_network(last, "", session_));
  }

  void add_paths() {
    const std::vector<std::string>& all = end().modules();
    for (const std::string& module : options_.modules) end().parameter_range(module);
    // distances[module][knot], steps[module][segment]
    std::vector<std::vector<double>> distances(all.size()), steps(all.size());
    for (size_t k = 0; k < knots_.size(); ++k) {
      const auto from_start = knots_[k]->state().module_distances(knots_.front()->state());
      for (size_t m = 0; m < all.size(); ++m) distances[m].push_back(from_start[m]);
      if (k == 0) continue;
      const auto step = knots_[k]->state().module_distances(knots_[k - 1]->state());
      for (size_t m = 0; m < all.size(); ++m) steps[m].push_back(step[m]);
    }
    const std::vector<double> norms = end().module_norms();
    for (size_t m = 0; m < all.size(); ++m) {
      const auto& wanted = options_.modules;
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), all[m]) == wanted.end()) {
        continue;
      }
      int64_t size = 0;
      for (const State::Entry& entry : end().entries()) {
        if (entry.module == all[m] && !entry.buffer) size += entry.shape.elements();
      }
      const double scale =
          options_.noise == "absolute" ? 1 : norms[m] / std::sqrt(static_cast<double>(size));
      const double end_distance = distances[m].back();
      for (size_t path = 0; path < std::size(kPaths); ++path) {
        ModulePath added{all[m], path, end_distance, scale, {}, {}, {}};
        if (end_distance == 0) {
          added.criticality = Criticality{0, 0, 0};
        } else if (path == 0) {
          for (int64_t c = 0; c < columns(); ++c) {
            added.points.push_back(
                {0, static_cast<double>(c) / static_cast<double>(columns() - 1)});
          }
        } else {
          added.points = resample_path(distances[m], steps[m], columns());
        }
        paths_.push_back(std::move(added));
      }
    }
  }

  WeightSetting setting(const ModulePath& path, int64_t column, int64_t row, int64_t draw) {
    const PathPoint point = path.points[static_cast<size_t>(column)];
    const bool direct = path.path == 0;
    const State& from = direct ? knots_.front()->state() : knots_[point.segment]->state();
    const State& to = direct ? end() : knots_[point.segment + 1]->state();
    const double sigma = sigma_of(path, row);
    // Every cell has noise of its own, the same on both paths: where they meet they agree.
    const auto number = static_cast<uint32_t>(draw * cells() + column * rows() + row);
    return {path.module,
            [&from, &to, &module = path.module, point, sigma, number](Network& network) {
              network.state().lerp_module(from, to, point.share, module);
              if (sigma > 0) network.state().add_noise(module, sigma, kNoiseSeed, number);
            }};
  }

  void evaluate_map() {
    std::vector<WeightSetting> settings;
    for_each_cell([&](ModulePath& path, int64_t column, int64_t row, int64_t draws) {
      for (int64_t draw = 0; draw < draws; ++draw) {
        settings.push_back(setting(path, column, row, draw));
      }
    });
    const std::vector<Evaluation> evaluations = sweep_->evaluate(settings);
    size_t next = 0;
    for_each_cell([&](ModulePath& path, int64_t, int64_t, int64_t draws) {
      CellMeans means;
      for (int64_t draw = 0; draw < draws; ++draw) {
        const Evaluation& evaluation = evaluations[next++];
        means.loss += evaluation.loss / static_cast<double>(draws);
        means.error += evaluation.error / static_cast<double>(draws);
        means.score += evaluation.score / static_cast<double>(draws);
      }
      path.heat.push_back(means);
    });
  }

  // Visit(path, column, row, number of draws of the map): without noise all draws are the same.
  template <class Visit>
  void for_each_cell(const Visit& visit) {
    for (ModulePath& path : paths_) {
      if (path.points.empty()) continue;
      for (int64_t column = 0; column < columns(); ++column) {
        for (int64_t row = 0; row < rows(); ++row) {
          visit(path, column, row, row == 0 ? 1 : options_.draws);
        }
      }
    }
  }

  void write_map() {
    CsvTable table({"module", "path", "column", "row", "distance", "noise", "loss", "error",
                    score_name(set_->multi_label())});
    for_each_cell([&](ModulePath& path, int64_t column, int64_t row, int64_t) {
      const CellMeans& means = path.heat[static_cast<size_t>(column * rows() + row)];
      table.add_row({path.module, kPaths[path.path], std::to_string(column), std::to_string(row),
                     csv_number(distance_of(path, column)), csv_number(noise_of(row)),
                     csv_number(means.loss), csv_number(means.error), csv_number(means.score)});
    });
    table.write(options_.out / "heat.csv");
  }

  // Finds the smallest admissible cell of each path by trying them in the order of distance^2 /
  // sigma^2. The losses are never negative, so a cell is given up, exactly, as soon as what it has
  // summed over draws and images exceeds what the limit allows; the map counts as its first draws.
  void search() {
    struct Candidate {
      int64_t column, row;
      CriticalityCell cell;
      LossBudget budget;
    };
    struct Search {
      ModulePath* path;
      std::vector<Candidate> candidates;  // ascending
      std::vector<CriticalityCell> tried;
      size_t next = 0;
      bool done = false;
    };
    const auto images = static_cast<double>(set_->size());
    const auto draws = static_cast<double>(scalar_draws());
    std::vector<Search> searches;
    for (ModulePath& path : paths_) {
      if (path.points.empty()) continue;
      Search search{&path, {}, {}};
      for (int64_t column = 0; column < columns(); ++column) {
        for (int64_t row = 1; row < rows(); ++row) {
          double left = limit_ * draws * images;
          if (!path.heat.empty()) {
            left -= path.heat[static_cast<size_t>(column * rows() + row)].of(kind_) *
                    static_cast<double>(options_.draws) * images;
          }
          search.candidates.push_back(
              {column, row, {distance_of(path, column), sigma_of(path, row), 0}, {kind_, left}});
        }
      }
      std::sort(search.candidates.begin(), search.candidates.end(),
                [](const Candidate& a, const Candidate& b) {
                  const double x = value_of(a.cell), y = value_of(b.cell);
                  return x != y ? x < y : a.cell.sigma < b.cell.sigma;
                });
      searches.push_back(std::move(search));
    }
    const int64_t first_draw = options_.scalar_only ? 0 : options_.draws;
    for (;;) {
      std::vector<WeightSetting> settings;
      struct Tried {
        Search* search;
        Candidate* candidate;
      };
      std::vector<Tried> tried;
      for (Search& search : searches) {
        for (size_t count = 0; !search.done && count < kCellsPerRound;) {
          if (search.next == search.candidates.size()) break;
          Candidate& candidate = search.candidates[search.next++];
          if (candidate.budget.spent()) continue;
          ++count;
          tried.push_back({&search, &candidate});
          for (int64_t draw = first_draw; draw < scalar_draws(); ++draw) {
            settings.push_back(setting(*search.path, candidate.column, candidate.row, draw));
            settings.back().budget = &candidate.budget;
          }
        }
      }
      if (tried.empty()) return;
      if (!settings.empty()) sweep_->evaluate(settings);
      for (const Tried& t : tried) {
        CriticalityCell cell = t.candidate->cell;
        const double mean = limit_ - t.candidate->budget.left / (draws * images);
        cell.loss = t.candidate->budget.spent() ? std::numeric_limits<double>::quiet_NaN()
                                                : std::min(mean, limit_);
        t.search->tried.push_back(cell);
      }
      // Ascending: once a cell is admissible, no later one is smaller.
      for (Search& search : searches) {
        search.path->criticality = criticality_of(search.tried, limit_);
        search.done = search.path->criticality.has_value();
      }
    }
  }

  void write_scalars(const Evaluation& at_end) {
    CsvTable table({"module", "path", "criticality", "alpha", "sigma"});
    double sums[] = {0, 0};
    bool finite[] = {true, true};
    for (const ModulePath& path : paths_) {
      std::string value, alpha, sigma;
      if (path.criticality) {
        value = csv_number(path.criticality->value);
        sums[path.path] += path.criticality->value;
        if (path.end_distance > 0) {
          alpha = csv_number(path.criticality->distance / path.end_distance);
          sigma = csv_number(path.criticality->sigma);
        }
      }
      finite[path.path] &= path.criticality.has_value();
      table.add_row({path.module, kPaths[path.path], value, alpha, sigma});
    }
    table.write(options_.out / "criticality.csv");
    nlohmann::ordered_json json;
    json["run"] = options_.run.string();
    json["end_point"] = options_.end_point;
    json["epoch"] = epoch_;
    json["images"] = set_->size();
    json["draws"] = scalar_draws();
    json["loss"] = options_.loss;
    json["end_loss"] = loss_of(at_end, kind_);
    json["loss_limit"] = limit_;
    json["end_" + std::string(score_name(set_->multi_label()))] = at_end.score;
    for (size_t path = 0; path < std::size(kPaths); ++path) {
      json["network"][kPaths[path]] = nullptr;
      if (finite[path]) json["network"][kPaths[path]] = sums[path];
    }
    write_file_atomically(options_.out / "result.json", json.dump(2) + "\n");
  }

  const CriticalityOptions& options_;
  Session& session_;
  const LossKind kind_;
  int64_t epoch_ = 0;
  double limit_ = 0;
  std::vector<std::unique_ptr<Network>> knots_;  // checkpoints from epoch 0 to the end point
  std::unique_ptr<Network> network_;
  std::unique_ptr<EvaluationSet> set_, statistics_;
  std::unique_ptr<Sweep> sweep_;
  std::vector<ModulePath> paths_;
};

}  // namespace

std::optional<Criticality> criticality_of(std::span<const CriticalityCell> cells, double limit) {
  std::optional<Criticality> best;
  for (const CriticalityCell& cell : cells) {
    if (!(cell.sigma > 0) || !(cell.loss <= limit)) continue;
    const double value = value_of(cell);
    if (best && (value > best->value || (value == best->value && cell.sigma >= best->sigma))) {
      continue;
    }
    best = Criticality{value, cell.distance, cell.sigma};
  }
  return best;
}

std::vector<PathPoint> resample_path(std::span<const double> distances,
                                     std::span<const double> steps, int64_t count) {
  BASIN_CHECK(distances.size() >= 2 && steps.size() + 1 == distances.size() && count >= 2,
              "a path needs two knots and two points");
  BASIN_CHECK(distances.front() == 0 && distances.back() > 0,
              "a path starts at distance 0 and ends elsewhere");
  std::vector<PathPoint> points = {{0, 0}};
  const size_t segments = steps.size();
  for (int64_t i = 1; i + 1 < count; ++i) {
    const double target =
        distances.back() * static_cast<double>(i) / static_cast<double>(count - 1);
    // From the end backwards: the end of a segment is at `target` or farther.
    for (size_t segment = segments; segment-- > 0;) {
      // Squared distance at share t: a t^2 + b t + c0 with a = step^2, less target^2.
      const double step = steps[segment], near = distances[segment], far = distances[segment + 1];
      const double a = step * step, b = far * far - near * near - a,
                   c = near * near - target * target;
      const double discriminant = b * b - 4 * a * c;
      const double share =
          a > 0 && discriminant >= 0 ? (-b + std::sqrt(discriminant)) / (2 * a) : -1;
      if ((share < 0 || share > 1 + 1e-9) && segment > 0) continue;
      points.push_back({segment, std::clamp(share, 0.0, 1.0)});
      break;
    }
  }
  points.push_back({segments - 1, 1});
  return points;
}

Options CriticalityOptions::list() {
  return Options{Option("--run", &run, "folder of a training run").required(),
                 {"--modules", &modules, "modules a,b,... [all]"},
                 {"--images", &images, "training images; 0: all", at_least(0)},
                 {"--distances", &distances, "columns of a map: steps from start to end",
                  between(2, 10000)},
                 {"--noise-levels", &noise_levels, "rows of a map: steps from no noise on",
                  between(2, 10000)},
                 {"--noise-max", &noise_max, "the highest noise level", above(0)},
                 {"--noise", &noise,
                  "standard deviation of the noise: relative to the weights of the module, or "
                  "absolute",
                  one_of({"relative", "absolute"})},
                 {"--draws", &draws, "draws of noise for a cell of the map; criticality takes five",
                  at_least(1)},
                 {"--end-point", &end_point, "final or best checkpoint", one_of({"final", "best"})},
                 {"--loss", &loss, "of criticality: error (0-1) or cross-entropy",
                  one_of({"error", "cross-entropy"})},
                 {"--tolerance", &tolerance,
                  "a place counts when its loss is at most (1 + tolerance) * that of the end point",
                  at_least(0)},
                 {"--scalar-only", &scalar_only, "no maps: criticality alone, which is faster"}} +
         test_data_options(data) + Options{out_option(out)};
}

void run_criticality(const CriticalityOptions& options, Session& session) {
  run_analysis("criticality", options, session, [&](const auto& open_folder) {
    CriticalityRun run(options, session);
    open_folder();
    run.run();
  });
}

Command criticality_command() {
  return make_command<CriticalityOptions>(
      "perturb each module on its way from start to end: maps and criticality (paper, Fig. 6)",
      [](const CriticalityOptions& options, Session& session) {
        run_criticality(options, session);
        const CsvTable table = CsvTable::read(options.out / "criticality.csv");
        return Printed{printed_result(options.out).json,
                       printed_table(table, {"module", "path"}).text};
      });
}

}  // namespace basin
