// Criticality of hand-made tables, paths worked by hand, and the search against the whole table.
#include "experiments/criticality/criticality.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "data/subset.h"
#include "engine/checkpoint.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"
#include "experiments/program/run_folder.h"
#include "experiments/program/sweep.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("criticality: the smallest alpha^2 d^2 / sigma^2 of the admissible cells") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  // d = 4, alpha = 0, 1/2, 1.
  const std::vector<CriticalityCell> cells = {
      {0, 0, 0.9}, {0, 0.5, 0.9}, {0, 1, nan},  // the start: useless
      {2, 0, 0.2}, {2, 0.5, 0.3}, {2, 1, 0.4},  // (2/0.5)^2 = 16, (2/1)^2 = 4
      {4, 0, 0.1}, {4, 0.5, 0.1}, {4, 1, 0.2},  // 64, 16
  };
  struct Case {
    double limit, value, distance, sigma;
  };
  for (const Case& c : {Case{0.1, 64, 4, 0.5}, Case{0.2, 16, 4, 1}, Case{0.3, 16, 2, 0.5},
                        Case{0.4, 4, 2, 1}, Case{0.9, 0, 0, 0.5}}) {
    CAPTURE(c.limit);
    const auto found = criticality_of(cells, c.limit);
    REQUIRE(found);
    CHECK(found->value == c.value);
    CHECK(found->distance == c.distance);
    CHECK(found->sigma == c.sigma);
  }
  // Admissible without noise only: infinitely critical.
  CHECK_FALSE(criticality_of(std::vector<CriticalityCell>{{4, 0, 0.05}, {4, 0.5, 0.1}}, 0.05));
  CHECK_FALSE(criticality_of({}, 1));
}

TEST_CASE("criticality: points of a path at equal distances from its start") {
  auto check = [](const std::vector<PathPoint>& points,
                  const std::vector<std::pair<size_t, double>>& expected) {
    REQUIRE(points.size() == expected.size());
    for (size_t i = 0; i < points.size(); ++i) {
      CAPTURE(i);
      CHECK(points[i].segment == expected[i].first);
      CHECK(points[i].share == doctest::Approx(expected[i].second).epsilon(1e-12));
    }
  };
  SUBCASE("straight on, through a knot") {
    const double distances[] = {0, 1, 4}, steps[] = {1, 3};
    check(resample_path(distances, steps, 5), {{0, 0}, {1, 0}, {1, 1 / 3.0}, {1, 2 / 3.0}, {1, 1}});
  }
  SUBCASE("round a corner: (0,0), (3,0), (3,4)") {
    // Distances 2.5 on the first leg; the end is at 5.
    const double distances[] = {0, 3, 5}, steps[] = {3, 4};
    check(resample_path(distances, steps, 3), {{0, 0}, {0, 2.5 / 3}, {1, 1}});
    // 3.75 on the second leg, at height sqrt(3.75^2 - 9) = 2.25.
    check(resample_path(distances, steps, 5),
          {{0, 0}, {0, 1.25 / 3}, {0, 2.5 / 3}, {1, 2.25 / 4}, {1, 1}});
  }
  SUBCASE("out, back, and out again on a line: 0, 3, 1, 4") {
    // 1.5 and 2 and 3 are last met behind the turn at 1; 1 at the turn; 0.5 in front.
    const double distances[] = {0, 3, 1, 4}, steps[] = {3, 2, 3};
    check(resample_path(distances, steps, 9), {{0, 0},
                                               {0, 0.5 / 3},
                                               {2, 0},
                                               {2, 0.5 / 3},
                                               {2, 1 / 3.0},
                                               {2, 1.5 / 3},
                                               {2, 2 / 3.0},
                                               {2, 2.5 / 3},
                                               {2, 1}});
  }
  SUBCASE("beyond the end and back: 0, 5, 2") {
    // The end is at 2: 1 is met on the way out, since the curve never comes back to it.
    const double distances[] = {0, 5, 2}, steps[] = {5, 3};
    check(resample_path(distances, steps, 3), {{0, 0}, {0, 1 / 5.0}, {1, 1}});
  }
  SUBCASE("a segment that passes closer to the start than its ends: (0,0), (-3,4), (3,4)") {
    // 4.5 is met at x = sqrt(4.5^2 - 16) = 2.0615 on the second leg; 4 is its height; 2.5 is in
    // front of it.
    const double distances[] = {0, 5, 5}, steps[] = {5, 6};
    const auto points = resample_path(distances, steps, 11);
    CHECK(points[5].segment == 0);
    CHECK(points[5].share == doctest::Approx(0.5));
    CHECK(points[9].segment == 1);
    CHECK(points[9].share == doctest::Approx((3 + std::sqrt(4.5 * 4.5 - 16)) / 6));
  }
  SUBCASE("a module that stood still for a while") {
    const double distances[] = {0, 0, 2, 2}, steps[] = {0, 2, 0};
    check(resample_path(distances, steps, 3), {{0, 0}, {1, 0.5}, {2, 1}});
  }
  SUBCASE("wrong arguments") {
    const double distances[] = {0, 1, 0}, steps[] = {1, 1};
    CHECK(error_of([&] { resample_path(distances, steps, 3); }) != "");
    CHECK(error_of([&] { resample_path(distances, {steps, 1}, 3); }) != "");
  }
}

namespace {

// A trained run and what `basin criticality` wrote of it.
struct Run {
  Run() {
    write_tiny_data(data(), 60, 21, 3);
    TrainOptions train_options = tiny_options(data(), run());
    train_options.epochs = 4;
    train_options.schedule = {0.1, {}, 0.1};
    train_options.mixup = 0;
    train(train_options, *session);
    options.run = run();
    options.data.spec = train_options.data.spec;
    options.images = 45;
    options.distances = 4;
    options.noise_levels = 5;
    options.draws = 2;
  }
  fs::path data() const { return folder.path / "data"; }
  fs::path run() const { return folder.path / "run"; }
  CsvTable table(const std::string& out, const std::string& name) {
    options.out = folder.path / out;
    run_criticality(options, *session);
    return CsvTable::read(options.out / name);
  }

  TemporaryFolder folder;
  std::unique_ptr<Session> session = small_session();
  CriticalityOptions options;
};

// criticality, alpha, sigma of each row
std::vector<std::vector<std::optional<double>>> scalars(const CsvTable& table) {
  std::vector<std::vector<std::optional<double>>> rows;
  for (size_t i = 0; i < table.row_count(); ++i) {
    rows.push_back(
        {table.number(i, "criticality"), table.number(i, "alpha"), table.number(i, "sigma")});
  }
  return rows;
}

}  // namespace

TEST_CASE("criticality: the search finds the smallest admissible cell of the whole table") {
  Run run;
  for (const std::string loss : {"error", "cross-entropy"}) {
    for (const double tolerance : {0.01, 0.5, 20.0}) {
      CAPTURE(loss);
      CAPTURE(tolerance);
      const std::string name = concat(loss, tolerance);
      run.options.loss = loss;
      run.options.tolerance = tolerance;
      run.options.scalar_only = false;
      // Five draws a cell: the table then holds the means that the scalar is about.
      run.options.draws = 5;
      const CsvTable heat = run.table(name + "whole", "heat.csv");
      const CsvTable scalar = CsvTable::read(run.options.out / "criticality.csv");
      const auto result = nlohmann::json::parse(read_file(run.options.out / "result.json"));
      const double limit = result["loss_limit"];
      const auto network = load_network(run.run(), "", run.session->stream);
      const auto start = load_network(epoch_checkpoint(run.run(), 0), "", run.session->stream);
      const auto norms = network->state().module_norms();
      const auto moved = network->state().module_distances(start->state());
      const auto& modules = network->state().modules();
      REQUIRE(scalar.row_count() == 2 * modules.size());
      REQUIRE(heat.row_count() == 2 * modules.size() * 20);
      double sum = 0;
      bool finite = true;
      for (size_t i = 0; i < scalar.row_count(); ++i) {
        const size_t m = i / 2;
        REQUIRE(scalar.text(i, "module") == modules[m]);
        CHECK(scalar.text(i, "path") == (i % 2 ? "optimization" : "direct"));
        int64_t size = 0;
        for (const State::Entry& entry : network->state().entries()) {
          if (entry.module == modules[m]) size += entry.shape.elements();
        }
        std::vector<CriticalityCell> cells;
        for (size_t row = i * 20; row < i * 20 + 20; ++row) {
          REQUIRE(heat.text(row, "module") == modules[m]);
          const double column = *heat.number(row, "column");
          CHECK(*heat.number(row, "distance") == doctest::Approx(moved[m] * column / 3));
          CHECK(*heat.number(row, "noise") == doctest::Approx(*heat.number(row, "row") / 8));
          cells.push_back(
              {*heat.number(row, "distance"),
               *heat.number(row, "noise") * norms[m] / std::sqrt(static_cast<double>(size)),
               *heat.number(row, loss == "error" ? "error" : "loss")});
        }
        const auto expected = criticality_of(cells, limit + 1e-9);
        const auto found = scalar.number(i, "criticality");
        REQUIRE(found.has_value() == expected.has_value());
        if (i % 2 == 0) finite &= found.has_value();
        if (!found) continue;
        if (i % 2 == 0) sum += *found;
        CHECK(*found == doctest::Approx(expected->value).epsilon(1e-9));
        CHECK(*scalar.number(i, "alpha") == doctest::Approx(expected->distance / moved[m]));
        CHECK(*scalar.number(i, "sigma") == doctest::Approx(expected->sigma));
      }
      CHECK(result["network"]["direct"].is_null() == !finite);
      if (finite) CHECK(result["network"]["direct"] == doctest::Approx(sum));

      // The same from fewer draws of the map, and without a map.
      run.options.draws = 2;
      CHECK(scalars(run.table(name + "two", "criticality.csv")) == scalars(scalar));
      run.options.scalar_only = true;
      CHECK(scalars(run.table(name + "scalar", "criticality.csv")) == scalars(scalar));
      CHECK_FALSE(fs::exists(run.options.out / "heat.csv"));
    }
  }
}

TEST_CASE("criticality: the cells of the map are the networks they say") {
  Run run;
  run.options.modules = {"layer2.0"};
  run.options.draws = 1;
  const CsvTable heat = run.table("map", "heat.csv");
  REQUIRE(heat.row_count() == 40);
  const auto start = load_network(epoch_checkpoint(run.run(), 0), "", run.session->stream);
  const auto end = load_network(run.run(), "", run.session->stream);
  const auto between = load_network(run.run(), "", run.session->stream);
  data::DataOptions data = run.options.data;
  data.seed = 5;
  const auto train_images = data::load_data(data).train;
  EvaluationSet set(data::evenly_spaced(train_images, 45), {.batch_size = 100}, *run.session);
  for (int64_t column = 0; column < 4; ++column) {
    between->state().lerp_module(start->state(), end->state(), static_cast<double>(column) / 3,
                                 "layer2.0");
    const Evaluation expected = set.evaluate(*between);
    const auto row = static_cast<size_t>(column * 5);
    CHECK(heat.text(row, "path") == "direct");
    CHECK(*heat.number(row, "row") == 0);
    CHECK(*heat.number(row, "loss") == expected.loss);
    CHECK(*heat.number(row, "error") == expected.error);
    CHECK(*heat.number(row, "accuracy") == expected.score);
    CHECK(*heat.number(row + 1, "loss") != expected.loss);
  }
  // Cell (1, 2): half of the largest noise, drawn for the seventh cell, times the size of a weight.
  between->state().lerp_module(start->state(), end->state(), 1 / 3.0, "layer2.0");
  int64_t size = 0;
  for (const State::Entry& entry : end->state().entries()) {
    if (entry.module == "layer2.0") size += entry.shape.elements();
  }
  const double weight = end->state().module_norms()[2] / std::sqrt(static_cast<double>(size));
  between->state().add_noise("layer2.0", weight * 0.25, 1, 7);
  CHECK(*heat.number(7, "noise") == 0.25);
  CHECK(*heat.number(7, "loss") == set.evaluate(*between).loss);
  // Both paths start and end in the same networks, with the same noise.
  for (const size_t row : {0, 1, 2, 3, 4, 15, 16, 17, 18, 19}) {
    CHECK(heat.text(row + 20, "path") == "optimization");
    CHECK(heat.text(row + 20, "loss") == heat.text(row, "loss"));
  }
  // The same in every call.
  const CsvTable again = run.table("again", "heat.csv");
  for (size_t row = 0; row < 40; ++row) CHECK(again.text(row, "loss") == heat.text(row, "loss"));
}

TEST_CASE("criticality: a module that did not move has none, and the best epoch can be the end") {
  Run run;
  const fs::path last = run.run() / "checkpoints" / "last.safetensors";
  const auto start = load_network(epoch_checkpoint(run.run(), 0), "", run.session->stream);
  const auto end = load_network(run.run(), "", run.session->stream);
  end->state().copy_module_from(start->state(), "conv1");
  save_checkpoint(end->state(), last, {{"model", "fixup_resnet8"}, {"epoch", "4"}});
  const CsvTable scalar = run.table("unmoved", "criticality.csv");
  for (size_t i : {0, 1}) {
    CHECK(scalar.text(i, "module") == "conv1");
    CHECK(*scalar.number(i, "criticality") == 0);
    CHECK(scalar.text(i, "alpha") == "");
  }
  const CsvTable heat = CsvTable::read(run.options.out / "heat.csv");
  CHECK(heat.row_count() == 2 * 4 * 20);  // without conv1

  save_checkpoint(end->state(), run.run() / "checkpoints" / "best.safetensors",
                  {{"model", "fixup_resnet8"}, {"epoch", "2"}});
  run.options.end_point = "best";
  run.table("best", "criticality.csv");
  CHECK(nlohmann::json::parse(read_file(run.options.out / "result.json"))["epoch"] == 2);
}

TEST_CASE("criticality: wrong settings are named") {
  Run run;
  auto error = [&](auto change) {
    CriticalityOptions options = run.options;
    options.out = run.folder.path / "wrong";
    change(options);
    const std::string text = error_of([&] { run_criticality(options, *run.session); });
    CHECK_FALSE(fs::exists(options.out));
    return text;
  };
  CHECK(contains(error([](auto& o) { o.distances = 1; }), "--distances"));
  CHECK(contains(error([](auto& o) { o.noise_levels = 1; }), "--noise-levels"));
  CHECK(contains(error([](auto& o) { o.noise = "loud"; }), "--noise"));
  CHECK(contains(error([](auto& o) { o.end_point = "first"; }), "--end-point"));
  CHECK(contains(error([](auto& o) { o.loss = "hinge"; }), "--loss"));
  CHECK(contains(error([](auto& o) { o.modules = {"layer9"}; }), "layer9"));
}
