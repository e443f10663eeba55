// Initial weights: Fixup's and torchvision's rules, a function of the seed and the place alone.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "models/registry.h"
#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Spread {
  double mean, deviation, largest;  // largest: of |value|
};

Spread spread_of(const State::Entry& entry) {
  const float* values = entry.tensor.data<float>();
  const auto size = static_cast<double>(entry.shape.elements());
  double sum = 0, squares = 0, largest = 0;
  for (int64_t i = 0; i < entry.shape.elements(); ++i) {
    sum += values[i];
    squares += double(values[i]) * values[i];
    largest = std::max(largest, std::abs(double(values[i])));
  }
  return {sum / size, std::sqrt(squares / size), largest};
}

// The values look drawn from N(0, deviation): within 5 standard errors.
void check_normal(const State::Entry& entry, double deviation) {
  const Spread s = spread_of(entry);
  const double size = static_cast<double>(entry.shape.elements());
  CHECK_MESSAGE(std::abs(s.deviation / deviation - 1) < 5 / std::sqrt(2 * size), entry.name,
                ": deviation ", s.deviation, " instead of ", deviation);
  CHECK_MESSAGE(std::abs(s.mean) < 5 * deviation / std::sqrt(size), entry.name);
  CHECK_MESSAGE(s.largest > 2.2 * deviation, entry.name);  // not uniform, which ends at 1.73
}

// The values look drawn from U(-bound, bound).
void check_uniform(const State::Entry& entry, double bound) {
  const Spread s = spread_of(entry);
  const double size = static_cast<double>(entry.shape.elements());
  CHECK_MESSAGE(s.largest <= bound, entry.name);
  CHECK_MESSAGE(s.largest > bound * (1 - 10 / size), entry.name);
  CHECK_MESSAGE(std::abs(s.deviation * std::sqrt(3) / bound - 1) < 5 * 0.45 / std::sqrt(size),
                entry.name, ": deviation ", s.deviation);
  CHECK_MESSAGE(std::abs(s.mean) < 5 * bound / std::sqrt(3 * size), entry.name);
}

bool all_equal(const State::Entry& entry, float value) {
  const float* values = entry.tensor.data<float>();
  return std::all_of(values, values + entry.shape.elements(),
                     [value](float v) { return v == value; });
}

}  // namespace

TEST_CASE_FIXTURE(OnCpu, "Fixup's initial weights, bottlenecks") {
  const auto network = small_network("fixup_resnet50", stream, 345, 16);
  network->initialize(3);
  const State& state = network->state();
  const double branches = std::pow(16.0, -0.25);
  for (const State::Entry& entry : state.entries()) {
    const std::string& name = entry.name;
    const Shape& s = entry.shape;
    const double he = s.rank() == 4 ? std::sqrt(2.0 / double(s[0] * s[1] * s[2])) : 0;
    if (name == "conv1.weight") {
      check_uniform(entry, 1 / std::sqrt(147.0));
    } else if (name.starts_with("fc.")) {
      check_uniform(entry, 1 / std::sqrt(512.0));
    } else if (name.ends_with("conv1.weight") || name.ends_with("conv2.weight")) {
      check_normal(entry, he * branches);
    } else if (name.ends_with("downsample.weight")) {
      check_normal(entry, he);
    } else if (name.ends_with("scale")) {
      CHECK(all_equal(entry, 1));
    } else {  // conv3 and all scalar biases
      CHECK_MESSAGE(all_equal(entry, 0), name);
    }
  }
}

TEST_CASE_FIXTURE(OnCpu, "Fixup's initial weights, basic blocks") {
  const auto network = small_network("fixup_resnet20", stream, 10, 16);
  network->initialize(3);
  for (const State::Entry& entry : network->state().entries()) {
    const std::string& name = entry.name;
    const Shape& s = entry.shape;
    const double he = s.rank() == 4 ? std::sqrt(2.0 / double(s[0] * s[1] * s[2])) : 0;
    if (name == "conv1.weight") {
      check_uniform(entry, 1 / std::sqrt(27.0));
    } else if (name == "fc.weight") {
      check_uniform(entry, 1 / std::sqrt(64.0));
    } else if (name.ends_with("conv1.weight")) {
      check_normal(entry, he / std::sqrt(9.0));  // 9 blocks
    } else if (name.ends_with("conv2.weight")) {
      CHECK(all_equal(entry, 0));
    } else if (name.ends_with("downsample.weight")) {
      check_normal(entry, he);
    }
  }
}

TEST_CASE_FIXTURE(OnCpu, "the classifier may start at zero, as in the original Fixup") {
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    const auto network =
        make_network({.name = name, .classes = 3, .width = 4, .zero_fc_init = true}, DType::kF32,
                     stream, State::Use::kValuesOnly);
    network->initialize(1);
    CHECK(all_equal(*network->state().find("fc.weight"), 0));
    CHECK(all_equal(*network->state().find("fc.bias"), 0));
    CHECK(!all_equal(*network->state().find("conv1.weight"), 0));
  }
}

TEST_CASE_FIXTURE(OnCpu, "torchvision's initial weights") {
  const auto network = small_network("resnet18", stream, 345, 16);
  for (const State::Entry& entry : network->state().entries()) {
    std::fill_n(entry.tensor.data<float>(), entry.shape.elements(), 7.0f);
  }
  network->initialize(3);
  for (const State::Entry& entry : network->state().entries()) {
    const std::string& name = entry.name;
    const Shape& s = entry.shape;
    if (s.rank() == 4) {
      check_normal(entry, std::sqrt(2.0 / double(s[0] * s[1] * s[2])));
    } else if (name.starts_with("fc.")) {
      check_uniform(entry, 1 / std::sqrt(128.0));
    } else if (name.ends_with(".weight") || name.ends_with(".running_var")) {
      CHECK_MESSAGE(all_equal(entry, 1), name);
    } else {
      CHECK_MESSAGE(all_equal(entry, 0), name);
    }
  }
}

TEST_CASE_FIXTURE(OnCpu, "initial weights are a function of the seed") {
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    const auto a = small_network(name, stream), b = small_network(name, stream);
    a->initialize(1);
    randomise(*b, 9);
    b->initialize(1);
    CHECK(same_values(a->state(), b->state()));
    b->initialize(2);
    CHECK(!same_values(*a->state().find("conv1.weight"), *b->state().find("conv1.weight")));
    CHECK(!same_values(*a->state().find("fc.weight"), *b->state().find("fc.weight")));
  }
  // Two parameters of one shape differ.
  const auto network = small_network("fixup_resnet14", stream);
  network->initialize(1);
  CHECK(!same_values(*network->state().find("layer1.0.conv1.weight"),
                     *network->state().find("layer1.1.conv1.weight")));
}

TEST_CASE_FIXTURE(OnCpu, "another classifier leaves the initial weights of the body as they are") {
  const auto three = small_network("fixup_resnet8", stream, 3);
  const auto five = small_network("fixup_resnet8", stream, 5);
  three->initialize(1);
  five->initialize(1);
  for (const State::Entry& entry : three->state().entries()) {
    if (!entry.name.starts_with("fc.")) CHECK(same_values(entry, *five->state().find(entry.name)));
  }
}

TEST_CASE_FIXTURE(
    OnCpu, "initialising one module draws what initialising all draws for it, and nothing else") {
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    const auto start = small_network(name, stream), whole = small_network(name, stream),
               part = small_network(name, stream);
    randomise(*start, 5);
    whole->initialize(1);
    for (const std::string& module : whole->state().modules()) {
      part->state().copy_from(start->state());
      part->initialize_module(1, module);
      for (const State::Entry& entry : part->state().entries()) {
        const Network& want = entry.module == module ? *whole : *start;
        CHECK(same_values(entry, *want.state().find(entry.name)));
      }
    }
    CHECK(contains(error_of([&] { part->initialize_module(1, "layer9"); }), "layer9"));
  }
}
