// The basin of analytic losses with known epsilon and delta.
#include "experiments/extent/extent.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

// A bowl in n dimensions, expectation over the noise taken exactly:
// l(w(lambda)) = flat on [low, high], then curvature/2 * (distance beyond)^2; noise of norm delta
// adds curvature/2 * delta^2.
struct Bowl final : LineLoss {
  double low = 0, high = 1, distance = 1, curvature = 1, ripple = 0;
  int64_t dimensions = 100;
  std::vector<double> extrapolated;  // lambdas asked for beyond the grid
  int calls = 0;

  double at(double lambda) const {
    const double beyond = std::max({low - lambda, lambda - high, 0.0}) * distance;
    return ripple * std::cos(lambda * M_PI) + curvature / 2 * beyond * beyond;
  }
  std::vector<double> on_line(const std::vector<double>& lambdas) override {
    std::vector<double> losses;
    for (const double lambda : lambdas) losses.push_back(at(lambda));
    if (calls++ > 0) extrapolated.insert(extrapolated.end(), lambdas.begin(), lambdas.end());
    return losses;
  }
  std::vector<double> with_noise(const std::vector<double>& lambdas, double deviation,
                                 int64_t draws) override {
    std::vector<double> losses;
    const double squares = deviation * deviation * static_cast<double>(dimensions);
    for (const double lambda : lambdas) {
      for (int64_t i = 0; i < draws; ++i) {
        losses.push_back(at(lambda) + curvature / 2 * squares);
      }
    }
    return losses;
  }
};

}  // namespace

TEST_CASE("extent: the grid of lambda") {
  const auto lambdas = grid_lambdas({});
  REQUIRE(lambdas.size() == 61);
  CHECK(lambdas.front() == -1);
  CHECK(lambdas[20] == 0);
  CHECK(lambdas[40] == 1);
  CHECK(lambdas.back() == 2);
  CHECK(lambdas[21] == doctest::Approx(0.05));
  CHECK(grid_lambdas({.low = 0, .high = 1.3, .step = 0.5}) == std::vector<double>{0, 0.5, 1});
  CHECK(grid_lambdas({.low = -0.1, .high = 1.1, .step = 0.1}).size() == 13);
  CHECK(contains(error_of([] { grid_lambdas({.low = 0.1, .high = 2}); }), "--range"));
  CHECK(contains(error_of([] { grid_lambdas({.low = 0, .high = 0.9}); }), "--range"));
  CHECK(contains(error_of([] { grid_lambdas({.low = 0, .high = 2, .step = 0.3}); }), "--step"));
  CHECK(contains(error_of([] { grid_lambdas({.low = 0, .high = 2, .step = 0}); }), "--step"));
}

TEST_CASE("extent: a quadratic bowl with known epsilon and delta") {
  // On the grid -1, -0.5, ..., 2 with distance 2 the loss is (2*beyond)^2 / 2: 2, 0.5, 0, 0, 0,
  // 0.5,
  // 2. The tolerance of 0.6 lets S reach from -0.5 to 1.5: five values with mean 0.2 and mean
  // deviation (2*0.3 + 3*0.2) / 5 = 0.24.
  Bowl bowl;
  bowl.distance = 2;
  bowl.dimensions = 121;
  const ExtentGrid grid{
      .low = -1, .high = 2, .step = 0.5, .tolerance = 0.6, .noise_draws = 3, .deltas = 20};
  const auto basin = estimate_basin(bowl, grid, 2, 121, {1, 1, 1}, {1, 1, 1});
  REQUIRE(basin.line.size() == 7);
  CHECK(basin.line[1].lambda == -0.5);
  CHECK(basin.line[1].loss == 0.5);
  CHECK(basin.low == -0.5);
  CHECK(basin.high == 1.5);
  CHECK_FALSE(basin.low_is_open);
  CHECK_FALSE(basin.high_is_open);
  CHECK(basin.mean_loss == doctest::Approx(0.2));
  CHECK(basin.epsilon == doctest::Approx(0.24));
  // At the ends of S noise gives 0.5 + delta^2/2 - 0.2, which reaches 0.48 at delta = 0.6; a step
  // of delta gives (1 + delta)^2 / 2 - 0.2, which reaches it at sqrt(1.36) - 1 = 0.166. Delta
  // counts in steps of 0.01 * sqrt(121) = 0.11.
  REQUIRE(basin.delta);
  CHECK(*basin.delta == doctest::Approx(0.66));
  REQUIRE(basin.deltas.size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    const double delta = 0.11 * static_cast<double>(i + 1);
    CHECK(basin.deltas[i].delta == doctest::Approx(delta));
    CHECK(basin.deltas[i].delta_per_coordinate == doctest::Approx(delta / 11));
    CHECK(basin.deltas[i].noise_loss == doctest::Approx(0.3 + delta * delta / 2));
    CHECK(basin.deltas[i].extrapolation_loss ==
          doctest::Approx((1 + delta) * (1 + delta) / 2 - 0.2));
  }
  // Outwards: delta / distance below and above S.
  CHECK(bowl.extrapolated[0] == doctest::Approx(-0.555));
  CHECK(bowl.extrapolated[3] == doctest::Approx(1.555));
}

TEST_CASE("extent: condition 3 can be the last to be met, by the mean over its steps") {
  // Noise at twice the dimensions' worth rises fast; steps are short: 0.1, 0.3 and 0.2 of delta.
  Bowl bowl;
  bowl.ripple = -0.1;  // -0.1 at 0, 0.1 at 1, 0 half way
  const ExtentGrid grid{
      .low = 0, .high = 1, .step = 0.5, .tolerance = 0, .noise_draws = 1, .deltas = 100};
  const auto basin = estimate_basin(bowl, grid, 1, 10000, {0.1, 0.3}, {0.1, 0.3});
  CHECK(basin.low == 0);
  CHECK(basin.high == 1);
  CHECK(basin.low_is_open);
  CHECK(basin.high_is_open);
  CHECK(basin.mean_loss == doctest::Approx(0).epsilon(1e-12));
  CHECK(basin.epsilon == doctest::Approx(0.2 / 3));
  REQUIRE(basin.delta);
  double expected = 0;
  for (int k = 1; expected == 0; ++k) {
    double rise = 0;
    for (const double step : {0.1, 0.3}) rise += (bowl.at(-step * k) + bowl.at(1 + step * k)) / 4;
    double noise = k * k * 100.0 / 10000 / 2;  // curvature/2 * (0.01 k)^2 * 100 dimensions
    noise += (bowl.at(0) + bowl.at(1)) / 2;
    if (rise >= 2 * 0.2 / 3 && noise >= 2 * 0.2 / 3) expected = k;
  }
  CHECK(*basin.delta == doctest::Approx(expected));
}

TEST_CASE("extent: a run around [0, 1] without gaps, a plain without end, a barrier") {
  // A hill at lambda 1.5 ends S although the loss is low again at 2.
  struct Table final : LineLoss {
    std::vector<double> grid;
    std::vector<double> on_line(const std::vector<double>& lambdas) override {
      return lambdas.size() == grid.size() ? grid : std::vector<double>(lambdas.size(), 0.25);
    }
    std::vector<double> with_noise(const std::vector<double>& lambdas, double,
                                   int64_t draws) override {
      return std::vector<double>(lambdas.size() * static_cast<size_t>(draws), 10);
    }
  } table;
  const ExtentGrid grid{.low = -1, .high = 2, .step = 0.5, .tolerance = 0.1, .noise_draws = 2};
  table.grid = {0.35, 0.2, 0.25, 0.2, 0.25, 0.4, 0.1};
  auto basin = estimate_basin(table, grid, 1, 4, {1, 1}, {1, 1});
  CHECK(basin.low == -1);
  CHECK(basin.low_is_open);
  CHECK(basin.high == 1);
  CHECK_FALSE(basin.high_is_open);
  CHECK(basin.mean_loss == doctest::Approx(0.25));
  CHECK(basin.epsilon == doctest::Approx(0.04));
  CHECK_FALSE(basin.delta);  // extrapolation stays at 0.25
  CHECK(basin.deltas.size() == 10);

  // A barrier between the two: S holds everything up to its height, and epsilon is large.
  table.grid = {0.9, 0.5, 0.1, 0.9, 0.1, 0.5, 0.9};
  basin = estimate_basin(table, grid, 1, 4, {1, 1}, {1, 1});
  CHECK(basin.low == -1);
  CHECK(basin.high == 2);
  CHECK(basin.epsilon > 0.25);
  CHECK(basin.meets_condition_1);
  // Judged by the epsilon of another pair it is no basin, and no delta is sought.
  ExtentGrid judged = grid;
  judged.threshold_epsilon = 0.25;
  basin = estimate_basin(table, judged, 1, 4, {1, 1}, {1, 1});
  CHECK_FALSE(basin.meets_condition_1);
  CHECK(basin.deltas.empty());
  CHECK_FALSE(basin.delta);

  table.grid = {0, 0, 0.1, 0.1, std::numeric_limits<double>::quiet_NaN(), 0, 0};
  CHECK(contains(error_of([&] { estimate_basin(table, grid, 1, 4, {1}, {1}); }), "diverged"));
  table.grid = {0, std::numeric_limits<double>::quiet_NaN(), 0.1, 0.1, 0.1, 0, 0};
  CHECK(estimate_basin(table, grid, 1, 4, {1}, {1}).low == 0);
}
