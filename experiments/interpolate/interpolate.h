// Interpolation between two solutions: is there a barrier? Paper, section 3.3, Figure 4.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/options.h"
#include "experiments/program/sweep.h"

namespace basin {

struct InterpolationPoint {
  double lambda, loss, score;
};

// Evaluates (1-lambda)*a + lambda*b at `points` equal steps of [low, high], in order. a, b and the
// network of `sweep` have the same entries. At lambda 0 and 1 its parameters are exactly a's and
// b's.
std::vector<InterpolationPoint> interpolate(Sweep& sweep, const State& a, const State& b,
                                            int64_t points, double low, double high);

struct Barrier {
  double score;  // max over lambda in [0,1] of (1-lambda)*s(0) + lambda*s(1) - s(lambda), fraction
  double loss;   // the same with the sign reversed, nats
};

// Needs points at lambda 0 and 1. Never negative: 0 is reached at the end points. Infinite where a
// value in [0,1] is not finite.
Barrier barrier_of(const std::vector<InterpolationPoint>& points);

struct InterpolateOptions {
  std::filesystem::path from, to;  // checkpoints or run folders
  data::DataOptions data;  // test images; batch norm's statistics are measured on its training ones
  std::string model;
  int64_t points = 21;
  std::array<double, 2> range = {0, 1};
  std::filesystem::path out;
  std::string kind, target;  // labels for the report, e.g. "finetune-finetune", "photo"

  Options list();
};

// Writes interpolation.csv (lambda, loss, accuracy|auc) and result.json, with the barriers when
// lambda 0 and 1 are among the points. A finished folder of the same settings is left as it is.
void run_interpolate(const InterpolateOptions& options, Session& session);

}  // namespace basin
