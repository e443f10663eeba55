// Interpolation and barriers.
#include "experiments/interpolate/interpolate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"

namespace basin {

std::vector<InterpolationPoint> interpolate(Sweep& sweep, const State& a, const State& b,
                                            int64_t points, double low, double high) {
  BASIN_CHECK(points >= 2, "--points must be at least 2, got ", points);
  BASIN_CHECK(low < high, "--range must be low,high with low < high, got ", low, ",", high);
  std::vector<InterpolationPoint> result;
  std::vector<WeightSetting> settings;
  for (int64_t i = 0; i < points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points - 1);
    double lambda = i + 1 == points ? high : low + (high - low) * share;
    // A step that meets an end network up to rounding is that network itself.
    for (const double end : {0.0, 1.0}) {
      if (std::abs(lambda - end) < 1e-9) lambda = end;
    }
    result.push_back({lambda, 0, 0});
    settings.push_back(
        {"", [&a, &b, lambda](Network& network) { network.state().lerp(a, b, lambda); }});
  }
  const std::vector<Evaluation> evaluations = sweep.evaluate(settings);
  for (size_t i = 0; i < result.size(); ++i) {
    result[i].loss = evaluations[i].loss;
    result[i].score = evaluations[i].score;
  }
  return result;
}

Barrier barrier_of(const std::vector<InterpolationPoint>& points) {
  auto end_point = [&](double lambda) -> const InterpolationPoint& {
    for (const InterpolationPoint& point : points) {
      if (point.lambda == lambda) return point;
    }
    throw Error(concat("a barrier needs points at lambda 0 and 1; none is at ", lambda));
  };
  const InterpolationPoint &first = end_point(0), &last = end_point(1);
  Barrier barrier{0, 0};
  const auto raise = [](double& height, double here) {
    height = std::isfinite(here) ? std::max(height, here) : std::numeric_limits<double>::infinity();
  };
  for (const InterpolationPoint& p : points) {
    if (p.lambda < 0 || p.lambda > 1) continue;
    const double t = p.lambda;
    raise(barrier.score, (1 - t) * first.score + t * last.score - p.score);
    raise(barrier.loss, p.loss - (1 - t) * first.loss - t * last.loss);
  }
  return barrier;
}

Options InterpolateOptions::list() {
  return Options{Option("--from", &from, "checkpoint or run folder at lambda 0").required(),
                 Option("--to", &to, "checkpoint or run folder at lambda 1").required(),
                 model_option(model),
                 {"--points", &points, "evaluations, at equal distances", at_least(2)},
                 {"--range", &range, "low,high of lambda; beyond 0,1 extrapolates"}} +
         test_data_options(data) + Options{out_option(out)};
}

void run_interpolate(const InterpolateOptions& options, Session& session) {
  run_analysis("interpolate", options, session, [&](const auto& open_folder) {
    const auto a = load_network(options.from, options.model, session);
    const auto b = load_network(options.to, options.model, session);
    const auto network = scratch_network(*a, session);
    const data::DataSplits splits = session.load(options.data);
    EvaluationSet set(splits.test, {.batch_size = kEvaluationBatch}, session);
    const auto statistics = statistics_set(*network, splits.train_evaluation, session);
    Sweep sweep(*network, a->state(), set, statistics.get(), session);
    open_folder();
    const auto points = interpolate(sweep, a->state(), b->state(), options.points, options.range[0],
                                    options.range[1]);
    const std::string score = score_name(set.multi_label());
    CsvTable table({"lambda", "loss", score});
    for (const InterpolationPoint& point : points) {
      table.add_row({csv_number(point.lambda), csv_number(point.loss), csv_number(point.score)});
    }
    table.write(options.out / "interpolation.csv");
    nlohmann::ordered_json json;
    if (!options.kind.empty()) json["kind"] = options.kind;
    if (!options.target.empty()) json["target"] = options.target;
    json["a"] = options.from.string();
    json["b"] = options.to.string();
    json["images"] = set.size();
    auto has_point = [&](double lambda) {
      return std::any_of(points.begin(), points.end(),
                         [&](const InterpolationPoint& point) { return point.lambda == lambda; });
    };
    if (has_point(0) && has_point(1)) {
      const Barrier barrier = barrier_of(points);
      json["barrier_" + score] = barrier.score;
      json["barrier_loss"] = barrier.loss;
    }
    write_file_atomically(options.out / "result.json", json.dump(2) + "\n");
  });
}

Command interpolate_command() {
  return make_command<InterpolateOptions>(
      "evaluate the straight line between two networks (paper, Fig. 4)",
      [](const InterpolateOptions& options, Session& session) {
        run_interpolate(options, session);
        return printed_result(options.out);
      });
}

}  // namespace basin
