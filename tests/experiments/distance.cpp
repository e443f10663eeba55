// Distances in parameter space against sums over all parameters.
#include "experiments/distance/distance.h"

#include <cmath>

#include "tests/experiments/tiny_data.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Sums {
  double distance = 0, norm_a = 0, norm_b = 0;  // squared
};

Sums sums_of(const State& a, const State& b, const std::string& module, bool fc) {
  Sums sums;
  for (size_t i = 0; i < a.entries().size(); ++i) {
    const State::Entry &x = a.entries()[i], &y = b.entries()[i];
    if (x.buffer || (!module.empty() && x.module != module) || (!fc && x.module == "fc")) continue;
    for (int64_t j = 0; j < x.shape.elements(); ++j) {
      const double p = x.tensor.data<float>()[j], q = y.tensor.data<float>()[j];
      sums.distance += (p - q) * (p - q);
      sums.norm_a += p * p;
      sums.norm_b += q * q;
    }
  }
  return sums;
}

void check_row(const Distance& row, const std::string& module, const Sums& sums) {
  CHECK(row.module == module);
  CHECK(row.distance == doctest::Approx(std::sqrt(sums.distance)).epsilon(1e-6));
  CHECK(row.norm_a == doctest::Approx(std::sqrt(sums.norm_a)).epsilon(1e-6));
  CHECK(row.norm_b == doctest::Approx(std::sqrt(sums.norm_b)).epsilon(1e-6));
}

}  // namespace

TEST_CASE("distance: whole, without fc, and per module; running statistics do not count") {
  Stream stream(Device::kCpu);
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    const auto a = lively_network(model, stream, 1), b = lively_network(model, stream, 2);
    const auto rows = distances(a->state(), b->state(), true);
    const std::vector<std::string>& modules = a->state().modules();
    REQUIRE(rows.size() == modules.size() + 2);
    check_row(rows[0], "all", sums_of(a->state(), b->state(), "", true));
    check_row(rows[1], "all_but_fc", sums_of(a->state(), b->state(), "", false));
    double squares = 0, squares_but_fc = 0;
    for (size_t i = 0; i < modules.size(); ++i) {
      check_row(rows[i + 2], modules[i], sums_of(a->state(), b->state(), modules[i], true));
      squares += rows[i + 2].distance * rows[i + 2].distance;
      if (modules[i] != "fc") squares_but_fc += rows[i + 2].distance * rows[i + 2].distance;
    }
    CHECK(rows[0].distance * rows[0].distance == doctest::Approx(squares).epsilon(1e-13));
    CHECK(rows[1].distance * rows[1].distance == doctest::Approx(squares_but_fc).epsilon(1e-13));
  }
}

TEST_CASE("distance: without fc, its weights are not read") {
  Stream stream(Device::kCpu);
  const auto a = lively_network("fixup_resnet8", stream, 1),
             b = lively_network("fixup_resnet8", stream, 2);
  const auto with_fc = distances(a->state(), b->state(), true);
  b->state().find("fc.weight")->tensor.data<float>()[0] = std::nanf("");
  const auto rows = distances(a->state(), b->state(), false);
  REQUIRE(rows.size() == with_fc.size() - 2);
  for (size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i].module == with_fc[i + 1].module);
    CHECK(rows[i].module != "fc");
    CHECK(rows[i].distance == with_fc[i + 1].distance);
    CHECK(rows[i].norm_b == with_fc[i + 1].norm_b);
  }
}

TEST_CASE("distance: of a network to itself") {
  Stream stream(Device::kCpu);
  const auto a = lively_network("resnet8", stream, 1);
  for (const Distance& row : distances(a->state(), a->state(), true)) {
    CHECK(row.distance == 0);
    CHECK(row.norm_a == row.norm_b);
    CHECK(row.norm_a > 0);
  }
}

TEST_CASE("distance: relative to the second network, and per parameter") {
  Stream stream(Device::kCpu);
  const auto a = lively_network("resnet8", stream, 1), b = lively_network("resnet8", stream, 2);
  for (const bool with_fc : {true, false}) {
    const auto rows = distances(a->state(), b->state(), with_fc);
    const auto scaled = scale_distances(rows, a->state());
    REQUIRE(scaled.size() == rows.size());
    int64_t sum = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      CAPTURE(rows[i].module);
      CHECK(scaled[i].raw.module == rows[i].module);
      CHECK(scaled[i].raw.distance == rows[i].distance);
      CHECK(scaled[i].relative * rows[i].norm_b ==
            doctest::Approx(rows[i].distance).epsilon(1e-14));
      // If all differences were the same, each would be this large.
      CHECK(std::pow(scaled[i].per_root_parameter, 2) * static_cast<double>(scaled[i].parameters) ==
            doctest::Approx(rows[i].distance * rows[i].distance).epsilon(1e-13));
      if (!rows[i].module.starts_with("all")) sum += scaled[i].parameters;
    }
    const int64_t fc = 3 * 16 + 3;
    CHECK(scaled[0].parameters == a->state().parameter_count() - (with_fc ? 0 : fc));
    CHECK(sum == scaled[0].parameters);
    // conv1 of width 4 with its batch norm.
    CHECK(scaled[with_fc ? 2 : 1].parameters == 4 * 27 + 8);
  }
}
