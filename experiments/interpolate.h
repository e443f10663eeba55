// Interpolation between two solutions: is there a barrier? Paper, section 3.3, Figure 4.
#pragma once

#include <filesystem>
#include <vector>

#include "experiments/evaluate.h"

namespace basin {

struct InterpolationPoint {
  double lambda, loss, score;
};

// Evaluates (1-lambda)*a + lambda*b at `points` equal steps of [low, high], in order. `network` is
// scratch; a, b and it have the same entries. At lambda 0 and 1 its weights are exactly a's and
// b's.
std::vector<InterpolationPoint> interpolate(Network& network, const State& a, const State& b,
                                            EvaluationSet& set, int64_t points, double low,
                                            double high, Session& session);

struct Barrier {
  double score;  // max over lambda in [0,1] of (1-lambda)*s(0) + lambda*s(1) - s(lambda), fraction
  double loss;   // the same with the sign reversed, nats
};

// Needs points at lambda 0 and 1. Never negative: 0 is reached at the end points.
Barrier barrier_of(const std::vector<InterpolationPoint>& points);

}  // namespace basin
