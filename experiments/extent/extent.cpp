// The segment inside the basin, and the noise and the steps that leave it.
#include "experiments/extent/extent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/files.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"
#include "experiments/program/sweep.h"
#include "kernels/base/random.h"

namespace basin {
namespace {

constexpr double kDeltaStep = 0.01;  // of one weight
constexpr uint64_t kExtentNoiseSeed = 1;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The loss of a network on a data set.
class NetworkLineLoss final : public LineLoss {
 public:
  NetworkLineLoss(Sweep& sweep, const State& a, const State& b, LossKind kind)
      : sweep_(sweep), a_(a), b_(b), kind_(kind) {}

  std::vector<double> on_line(const std::vector<double>& lambdas) override {
    std::vector<WeightSetting> settings;
    for (const double lambda : lambdas) {
      settings.push_back(
          {"", [this, lambda](Network& network) { network.state().lerp(a_, b_, lambda); }});
    }
    const std::vector<Evaluation> evaluations = sweep_.evaluate(settings);
    if (grid_.empty()) grid_ = evaluations;
    return losses(evaluations);
  }

  std::vector<double> with_noise(const std::vector<double>& lambdas, double deviation,
                                 int64_t draws) override {
    std::vector<WeightSetting> settings;
    uint32_t number = 0;
    for (const double lambda : lambdas) {
      for (int64_t draw = 0; draw < draws; ++draw, ++number) {
        settings.push_back({"", [this, lambda, deviation, number](Network& network) {
                              State& state = network.state();
                              state.lerp(a_, b_, lambda);
                              for (const std::string& module : state.modules()) {
                                state.add_noise(module, deviation, kExtentNoiseSeed, number);
                              }
                            }});
      }
    }
    return losses(sweep_.evaluate(settings));
  }

  // What the first call of on_line() evaluated: the grid.
  const std::vector<Evaluation>& grid() const { return grid_; }

 private:
  std::vector<double> losses(const std::vector<Evaluation>& evaluations) const {
    std::vector<double> values;
    for (const Evaluation& evaluation : evaluations) values.push_back(loss_of(evaluation, kind_));
    return values;
  }

  Sweep& sweep_;
  const State &a_, &b_;
  LossKind kind_;
  std::vector<Evaluation> grid_;
};

// |z| for the steps out of one end; no weight's noise is drawn from this sample number.
std::vector<double> steps_of(uint32_t end, int64_t draws) {
  RandomStream random(kExtentNoiseSeed, RandomPurpose::kNoise, end, UINT32_MAX);
  std::vector<double> steps;
  for (int64_t i = 0; i < draws; ++i) steps.push_back(std::abs(random.normal()));
  return steps;
}

void check_finite(double value, double lambda) {
  BASIN_CHECK(std::isfinite(value), "the loss at lambda ", lambda, " is ", value,
              ": one of the two networks has diverged");
}

}  // namespace

std::vector<double> grid_lambdas(const ExtentGrid& grid) {
  BASIN_CHECK(grid.low <= 0 && grid.high >= 1, "--range must include 0,1, got ", grid.low, ",",
              grid.high);
  BASIN_CHECK(grid.step > 0 && grid.step <= 1, "--step must be above 0 and at most 1, got ",
              grid.step);
  std::vector<double> lambdas;
  const double first = std::ceil(grid.low / grid.step - 1e-6);
  const double last = std::floor(grid.high / grid.step + 1e-6);
  bool has_one = false;
  for (double i = first; i <= last; ++i) {
    const bool one = std::abs(i * grid.step - 1) < 1e-6 * grid.step;
    has_one |= one;
    lambdas.push_back(one ? 1 : i == 0 ? 0 : i * grid.step);
  }
  BASIN_CHECK(has_one, "--step must divide 1, got ", grid.step);
  return lambdas;
}

BasinEstimate estimate_basin(LineLoss& loss, const ExtentGrid& grid, double distance,
                             int64_t dimensions, const std::vector<double>& low_steps,
                             const std::vector<double>& high_steps) {
  const std::vector<double> lambdas = grid_lambdas(grid), losses = loss.on_line(lambdas);
  BasinEstimate basin;
  size_t begin = 0, end = 0;  // S, as indices [begin, end)
  double limit = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < lambdas.size(); ++i) {
    basin.line.push_back({lambdas[i], losses[i]});
    if (lambdas[i] == 0) begin = i;
    if (lambdas[i] == 1) end = i + 1;
    if (lambdas[i] < 0 || lambdas[i] > 1) continue;
    check_finite(losses[i], lambdas[i]);
    limit = std::max(limit, losses[i] + grid.tolerance);
  }
  while (begin > 0 && losses[begin - 1] <= limit) --begin;
  while (end < losses.size() && losses[end] <= limit) ++end;
  basin.low = lambdas[begin];
  basin.high = lambdas[end - 1];
  basin.low_is_open = begin == 0;
  basin.high_is_open = end == lambdas.size();

  std::vector<double> inside;
  for (size_t i = begin; i < end; ++i) inside.push_back(losses[i]);
  basin.mean_loss = mean_of(inside);
  for (double& value : inside) value = std::abs(value - basin.mean_loss);
  basin.epsilon = mean_of(inside);
  basin.meets_condition_1 = !grid.threshold_epsilon || basin.epsilon <= *grid.threshold_epsilon;
  if (!basin.meets_condition_1) return basin;

  const auto root = std::sqrt(static_cast<double>(dimensions));
  for (int64_t k = 1; k <= grid.deltas && !basin.delta; ++k) {
    const double deviation = static_cast<double>(k) * kDeltaStep, delta = deviation * root;
    std::vector<double> outside;
    for (const double step : low_steps) outside.push_back(basin.low - delta * step / distance);
    for (const double step : high_steps) outside.push_back(basin.high + delta * step / distance);
    // Both ends have as many draws, so the mean over all is the mean of the two ends' means.
    const DeltaPoint point = {
        delta, deviation,
        mean_of(loss.with_noise({basin.low, basin.high}, deviation, grid.noise_draws)) -
            basin.mean_loss,
        mean_of(loss.on_line(outside)) - basin.mean_loss};
    basin.deltas.push_back(point);
    const double rise = 2 * basin.epsilon;
    if (point.noise_loss >= rise && point.extrapolation_loss >= rise) basin.delta = delta;
  }
  return basin;
}

Options ExtentOptions::list() {
  return Options{
             Option("--from", &from, "checkpoint or run folder at lambda 0").required(),
             Option("--to", &to, "checkpoint or run folder at lambda 1").required(),
             model_option(model),
             {"--range", &range, "low,high of lambda; includes 0 and 1"},
             {"--step", &step, "of lambda; divides 1", above(0)},
             {"--tolerance", &tolerance,
              "by which the loss in the basin may exceed its maximum between the networks",
              at_least(0)},
             {"--noise-draws", &noise_draws, "at either end of the basin", at_least(1)},
             {"--loss", &loss, "error (0-1) or cross-entropy", one_of({"error", "cross-entropy"})},
             Option("--epsilon", &threshold_epsilon,
                    "judge condition 1 by this epsilon, that of another pair; no delta is sought "
                    "when it fails")
                 .recorded_if_set()} +
         test_data_options(data) + Options{out_option(out)};
}

void run_extent(const ExtentOptions& options, Session& session) {
  run_analysis("extent", options, session, [&](const auto& open_folder) {
    const LossKind kind = parse_loss(options.loss);
    const ExtentGrid grid{.low = options.range[0],
                          .high = options.range[1],
                          .step = options.step,
                          .tolerance = options.tolerance,
                          .noise_draws = options.noise_draws,
                          .threshold_epsilon = options.threshold_epsilon};
    grid_lambdas(grid);  // throws for a bad grid before anything is loaded
    const auto a = load_network(options.from, options.model, session);
    const auto b = load_network(options.to, options.model, session);
    double distance = 0;
    for (const double module : a->state().module_distances(b->state())) distance += module * module;
    distance = std::sqrt(distance);
    BASIN_CHECK(distance > 0, options.from.string(), " and ", options.to.string(),
                " hold the same weights: there is no line through them");
    const auto network = scratch_network(*a, session);
    const data::DataSplits splits = session.load(options.data);
    EvaluationSet set(splits.test, {.batch_size = kEvaluationBatch}, session);
    const auto statistics = statistics_set(*network, splits.train_evaluation, session);
    Sweep sweep(*network, a->state(), set, statistics.get(), session);
    open_folder();

    NetworkLineLoss loss(sweep, a->state(), b->state(), kind);
    const int64_t dimensions = a->state().parameter_count();
    const BasinEstimate basin =
        estimate_basin(loss, grid, distance, dimensions, steps_of(0, grid.noise_draws),
                       steps_of(1, grid.noise_draws));

    CsvTable line({"lambda", "loss", "error"});
    for (size_t i = 0; i < basin.line.size(); ++i) {
      const Evaluation& evaluation = loss.grid()[i];
      line.add_row({csv_number(basin.line[i].lambda), csv_number(evaluation.loss),
                    csv_number(evaluation.error)});
    }
    line.write(options.out / "extent.csv");
    CsvTable deltas({"delta", "delta_per_coordinate", "noise_loss", "extrapolation_loss"});
    for (const DeltaPoint& point : basin.deltas) {
      deltas.add_row({csv_number(point.delta), csv_number(point.delta_per_coordinate),
                      csv_number(point.noise_loss), csv_number(point.extrapolation_loss)});
    }
    deltas.write(options.out / "deltas.csv");
    nlohmann::ordered_json json;
    json["a"] = options.from.string();
    json["b"] = options.to.string();
    json["loss"] = options.loss;
    json["images"] = set.size();
    json["parameters"] = dimensions;
    json["distance"] = distance;
    json["epsilon"] = basin.epsilon;
    json["delta"] = nullptr;
    if (basin.delta) {
      json["delta"] = *basin.delta;
    } else if (!basin.meets_condition_1) {
      json["reason"] = "epsilon is above the threshold: condition 1 is not met";
    } else {
      json["reason"] = fmt::format(
          "no delta up to {:.4g} raises the mean loss by 2 epsilon under both noise and "
          "extrapolation",
          basin.deltas.back().delta);
    }
    json["mean_loss"] = basin.mean_loss;
    json["lambda_low"] = basin.low;
    json["lambda_high"] = basin.high;
    json["lambda_low_is_open"] = basin.low_is_open;
    json["lambda_high_is_open"] = basin.high_is_open;
    if (options.threshold_epsilon) {
      json["threshold_epsilon"] = *options.threshold_epsilon;
      json["condition_1"] = basin.meets_condition_1;
    }
    write_file_atomically(options.out / "result.json", json.dump(2) + "\n");
  });
}

Command extent_command() {
  return make_command<ExtentOptions>(
      "the (epsilon, delta)-basin around two networks (paper, Definition 3.1)",
      [](const ExtentOptions& options, Session& session) {
        run_extent(options, session);
        return printed_result(options.out);
      });
}

}  // namespace basin
