// Interpolation: the grid, its exact end points, and barriers worked by hand.
#include "experiments/interpolate.h"

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
  SUBCASE("without an end point") {
    CHECK(contains(error_of([] { barrier_of({{0, 1, 1}, {0.9, 1, 1}}); }), "lambda"));
    CHECK(contains(error_of([] { barrier_of({{0.1, 1, 1}, {1, 1, 1}}); }), "lambda"));
  }
}

TEST_CASE("interpolate: the grid, and the end networks themselves at lambda 0 and 1") {
  const auto session = small_session();
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    const auto a = lively_network(model, session->stream, 1),
               b = lively_network(model, session->stream, 2),
               scratch = small_network(model, session->stream);
    EvaluationSet set(tiny_set(20, 8, 3), {.batch_size = 7}, *session);
    const Evaluation at_a = set.evaluate(*a), at_b = set.evaluate(*b);
    REQUIRE(at_a.loss != at_b.loss);
    auto run = [&](int64_t points, double low, double high) {
      return interpolate(*scratch, a->state(), b->state(), set, points, low, high, *session);
    };

    const auto line = run(5, 0, 1);
    REQUIRE(line.size() == 5);
    for (size_t i = 0; i < 5; ++i) CHECK(line[i].lambda == static_cast<double>(i) / 4);
    CHECK(line.front().loss == at_a.loss);
    CHECK(line.front().score == at_a.score);
    CHECK(line.back().loss == at_b.loss);
    CHECK(line.back().score == at_b.score);
    scratch->state().lerp(a->state(), b->state(), 0.25);
    CHECK(line[1].loss == set.evaluate(*scratch).loss);

    const auto same = interpolate(*scratch, a->state(), a->state(), set, 3, 0, 1, *session);
    for (const InterpolationPoint& point : same) {
      CHECK(point.loss == doctest::Approx(at_a.loss).epsilon(1e-5));
    }
    CHECK(run(2, 0, 1).size() == 2);
  }
}

TEST_CASE("interpolate: lambda is exactly 0 and 1 wherever the grid meets them") {
  const auto session = small_session();
  const auto a = lively_network("fixup_resnet8", session->stream, 1),
             b = lively_network("fixup_resnet8", session->stream, 2),
             scratch = small_network("fixup_resnet8", session->stream);
  EvaluationSet set(tiny_set(4, 8, 3), {.batch_size = 4}, *session);
  const Evaluation at_a = set.evaluate(*a), at_b = set.evaluate(*b);
  struct Grid {
    int64_t points;
    double low, high;
  };
  for (const Grid& grid : {Grid{15, -0.2, 1.2}, Grid{14, -0.1, 1.2}, Grid{12, -0.05, 1.05},
                           Grid{17, -0.3, 1.3}, Grid{7, -1, 2}}) {
    CAPTURE(grid.points);
    const auto line = interpolate(*scratch, a->state(), b->state(), set, grid.points, grid.low,
                                  grid.high, *session);
    CHECK(line.front().lambda == grid.low);
    CHECK(line.back().lambda == grid.high);
    int zeros = 0, ones = 0;
    for (const InterpolationPoint& point : line) {
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
  const auto session = small_session();
  const auto a = small_network("fixup_resnet8", session->stream),
             b = small_network("fixup_resnet8", session->stream, 4),
             scratch = small_network("fixup_resnet8", session->stream);
  EvaluationSet set(tiny_set(4, 8, 3), {.batch_size = 4}, *session);
  auto run = [&](const Network& to, int64_t points, double low, double high) {
    return error_of(
        [&] { interpolate(*scratch, a->state(), to.state(), set, points, low, high, *session); });
  };
  CHECK(contains(run(*a, 1, 0, 1), "--points"));
  CHECK(contains(run(*a, 3, 1, 1), "--range"));
  CHECK(contains(run(*a, 3, 1, 0), "--range"));
  CHECK(contains(run(*b, 3, 0, 1), "fc.weight"));
}
