// Interpolation: the grid, its exact end points, and barriers worked by hand.
#include "experiments/interpolate/interpolate.h"

#include <cmath>

#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("barrier: hand-worked") {
  SUBCASE("at half way") {
    const Barrier barrier = barrier_of({{0, 1.0, 0.75}, {0.5, 2.0, 0.25}, {1, 2.0, 0.5}});
    CHECK(barrier.score == 0.375);  // 0.625 on the chord
    CHECK(barrier.loss == 0.5);     // 1.5 on the chord
  }
  SUBCASE("not at half way, and not for both at the same point") {
    const Barrier barrier =
        barrier_of({{0, 0, 1}, {0.25, 5, 0.5}, {0.5, 1, 0.25}, {0.75, 1, 0}, {1, 4, 0}});
    CHECK(barrier.score == 0.25);  // chord 0.75, 0.5, 0.25
    CHECK(barrier.loss == 4);      // chord 1, 2, 3
  }
  SUBCASE("a valley is no barrier") {
    const Barrier barrier = barrier_of({{0, 2, 0.5}, {0.5, 1, 0.75}, {1, 2, 0.5}});
    CHECK(barrier.score == 0);
    CHECK(barrier.loss == 0);
  }
  SUBCASE("points beyond the ends do not count") {
    const Barrier barrier =
        barrier_of({{-1, 100, 0}, {0, 1, 0.5}, {0.5, 1.5, 0.5}, {1, 1, 0.5}, {2, 100, 0}});
    CHECK(barrier.score == 0);
    CHECK(barrier.loss == 0.5);
  }
  SUBCASE("a value that is not a number") {
    const Barrier barrier = barrier_of({{0, 0.5, 0.5}, {0.5, std::nan(""), 0.5}, {1, 0.7, 0.5}});
    CHECK(barrier.score == 0);
    CHECK(std::isinf(barrier.loss));
  }
  SUBCASE("without an end point") {
    CHECK(contains(error_of([] { barrier_of({{0, 1, 1}, {0.9, 1, 1}}); }), "lambda"));
    CHECK(contains(error_of([] { barrier_of({{0.1, 1, 1}, {1, 1, 1}}); }), "lambda"));
  }
}

namespace {

// Two networks, a third for the weights in between, and the images.
struct Line {
  explicit Line(const std::string& model, int64_t images = 20)
      : a(lively_network(model, session->stream, 1)),
        b(lively_network(model, session->stream, 2)),
        scratch(small_network(model, session->stream)),
        set(tiny_set(images, 8, 3), {.batch_size = 7}, *session),
        statistics(statistics_set(*a, tiny_set(12, 8, 3), *session)),
        sweep(*scratch, a->state(), set, statistics.get(), *session) {}

  // Of a network whose statistics are measured anew.
  Evaluation plain(Network& network) {
    if (statistics) estimate_batch_norm(network, *statistics, *session);
    return set.evaluate(network);
  }

  std::unique_ptr<Session> session = small_session();
  std::unique_ptr<Network> a, b, scratch;
  EvaluationSet set;
  std::unique_ptr<EvaluationSet> statistics;
  Sweep sweep;
};

}  // namespace

TEST_CASE("interpolate: the grid, and the end networks themselves at lambda 0 and 1") {
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(model);
    Line line(model);
    const auto between = small_network(model, line.session->stream);
    const auto points = interpolate(line.sweep, line.a->state(), line.b->state(), 5, 0, 1);
    REQUIRE(points.size() == 5);
    for (size_t i = 0; i < 5; ++i) {
      CHECK(points[i].lambda == static_cast<double>(i) / 4);
      between->state().lerp(line.a->state(), line.b->state(), points[i].lambda);
      const Evaluation expected = line.plain(*between);
      CHECK(points[i].loss == expected.loss);
      CHECK(points[i].score == expected.score);
    }
    const Evaluation at_a = line.plain(*line.a), at_b = line.plain(*line.b);
    REQUIRE(at_a.loss != at_b.loss);
    CHECK(points.front().loss == at_a.loss);
    CHECK(points.front().score == at_a.score);
    CHECK(points.back().loss == at_b.loss);
    CHECK(points.back().score == at_b.score);

    for (const auto& point : interpolate(line.sweep, line.a->state(), line.a->state(), 3, 0, 1)) {
      CHECK(point.loss == doctest::Approx(at_a.loss).epsilon(1e-5));
    }
    CHECK(interpolate(line.sweep, line.a->state(), line.b->state(), 2, 0, 1).size() == 2);
  }
}

TEST_CASE("interpolate: lambda is exactly 0 and 1 wherever the grid meets them") {
  Line line("fixup_resnet8", 4);
  const Evaluation at_a = line.plain(*line.a), at_b = line.plain(*line.b);
  struct Grid {
    int64_t points;
    double low, high;
  };
  for (const Grid& grid : {Grid{15, -0.2, 1.2}, Grid{14, -0.1, 1.2}, Grid{12, -0.05, 1.05},
                           Grid{17, -0.3, 1.3}, Grid{7, -1, 2}}) {
    CAPTURE(grid.points);
    const auto points =
        interpolate(line.sweep, line.a->state(), line.b->state(), grid.points, grid.low, grid.high);
    CHECK(points.front().lambda == grid.low);
    CHECK(points.back().lambda == grid.high);
    int zeros = 0, ones = 0;
    for (const InterpolationPoint& point : points) {
      if (point.lambda == 0) {
        ++zeros;
        CHECK(point.loss == at_a.loss);
      }
      if (point.lambda == 1) {
        ++ones;
        CHECK(point.loss == at_b.loss);
      }
    }
    // -0.05..1.05 in 11 steps of 0.1 meets neither.
    CHECK(zeros == (grid.points == 12 ? 0 : 1));
    CHECK(ones == (grid.points == 12 ? 0 : 1));
  }
}

TEST_CASE("interpolate: bad grids and networks that do not fit") {
  Line line("fixup_resnet8", 4);
  const auto other = small_network("fixup_resnet8", line.session->stream, 4);
  auto run = [&](const Network& to, int64_t points, double low, double high) {
    return error_of(
        [&] { interpolate(line.sweep, line.a->state(), to.state(), points, low, high); });
  };
  CHECK(contains(run(*line.b, 1, 0, 1), "--points"));
  CHECK(contains(run(*line.b, 3, 1, 1), "--range"));
  CHECK(contains(run(*line.b, 3, 1, 0), "--range"));
  CHECK(contains(run(*other, 3, 0, 1), "fc.weight"));
}
