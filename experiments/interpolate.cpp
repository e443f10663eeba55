// Interpolation and barriers.
#include "experiments/interpolate.h"

#include <algorithm>
#include <cmath>

namespace basin {

std::vector<InterpolationPoint> interpolate(Network& network, const State& a, const State& b,
                                            EvaluationSet& set, int64_t points, double low,
                                            double high, Session& session) {
  BASIN_CHECK(points >= 2, "--points must be at least 2, got ", points);
  BASIN_CHECK(low < high, "--range must be low,high with low < high, got ", low, ",", high);
  std::vector<InterpolationPoint> result;
  for (int64_t i = 0; i < points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points - 1);
    double lambda = i + 1 == points ? high : low + (high - low) * share;
    // A step that meets an end network up to rounding is that network itself.
    for (const double end : {0.0, 1.0}) {
      if (std::abs(lambda - end) < 1e-9) lambda = end;
    }
    network.state().lerp(a, b, lambda);
    const Evaluation evaluation = set.evaluate(network);
    result.push_back({lambda, evaluation.loss, evaluation.score});
    if (session.progress) session.progress->advance(static_cast<double>(set.size()));
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
  for (const InterpolationPoint& p : points) {
    if (p.lambda < 0 || p.lambda > 1) continue;
    const double t = p.lambda;
    barrier.score = std::max(barrier.score, (1 - t) * first.score + t * last.score - p.score);
    barrier.loss = std::max(barrier.loss, p.loss - (1 - t) * first.loss - t * last.loss);
  }
  return barrier;
}

}  // namespace basin
