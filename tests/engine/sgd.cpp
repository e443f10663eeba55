// SGD over a State: the rule by name, hand-worked steps, and schedules.
#include "engine/sgd.h"

#include <doctest/doctest.h>

#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("biases and scales train at a tenth of the rate") {
  for (const char* name : {"bias1", "bias2", "layer1.0.bias1a", "layer1.0.bias3b", "layer1.0.scale",
                           "fc.bias", "layer1.0.bn1.bias"}) {
    CHECK(learning_rate_factor(name) == 0.1);
  }
  for (const char* name : {"conv1.weight", "layer1.0.conv1.weight", "fc.weight",
                           "layer1.0.downsample.weight", "layer1.0.bn1.weight"}) {
    CHECK(learning_rate_factor(name) == 1);
  }
}

TEST_CASE_FIXTURE(OnCpu, "two steps over a State by hand, each parameter by its factor") {
  State state(DType::kF64, stream);
  state.begin_module("all");
  const Tensor weight = state.add_parameter("weight", {40000});  // more than two chunks
  const Tensor bias = state.add_parameter("bias", {1});
  state.allocate(State::Use::kTraining);
  for (int64_t i = 0; i < 40000; ++i) weight.data<double>()[i] = 1 + double(i % 5);
  bias.data<double>()[0] = 4;
  Sgd sgd(state, {.momentum = 0.5, .weight_decay = 0.25});
  auto write_gradients = [&] {
    Tape tape(stream, arena, true);
    state.begin_step();
    for (const Tensor& parameter : {weight, bias}) {
      const Gradient<double> target = tape.gradient<double>(parameter);
      CHECK(!target.accumulate);
      std::fill_n(target.to, parameter.size(), 2.0);
    }
  };
  write_gradients();
  sgd.step(0.5);
  // weight v: m = 2 + v/4, v' = v - m/2;  bias: m = 2 + 4/4, v' = 4 - m/20
  int64_t wrong = 0;
  for (int64_t i = 0; i < 40000; ++i) {
    const double v = 1 + double(i % 5);
    wrong += weight.data<double>()[i] != v - (2 + v / 4) / 2;
  }
  CHECK(wrong == 0);
  CHECK(bias.data<double>()[0] == doctest::Approx(3.85));
  write_gradients();
  sgd.step(0.25);  // another rate
  for (int64_t i = 0; i < 40000; ++i) {
    const double v0 = 1 + double(i % 5), m1 = 2 + v0 / 4, v1 = v0 - m1 / 2;
    const double m2 = m1 / 2 + 2 + v1 / 4;
    wrong += weight.data<double>()[i] != v1 - m2 / 4;
  }
  CHECK(wrong == 0);
  // bias: m = 3/2 + 2 + 3.85/4
  CHECK(bias.data<double>()[0] == doctest::Approx(3.85 - 0.025 * 4.4625));
}

TEST_CASE_FIXTURE(OnCpu,
                  "a step needs the gradient of every parameter, and names the one that lacks it") {
  State state(DType::kF32, stream);
  state.begin_module("all");
  const Tensor used = state.add_parameter("used", {2});
  state.add_parameter("forgotten.weight", {2});
  state.allocate(State::Use::kTraining);
  Sgd sgd(state, {});
  CHECK(contains(error_of([&] { sgd.step(0.1); }), "used"));
  Tape tape(stream, arena, true);
  state.begin_step();
  tape.gradient<float>(used);
  CHECK(contains(error_of([&] { sgd.step(0.1); }), "forgotten.weight"));
}

TEST_CASE_FIXTURE(OnCpu, "a whole network at learning rate 0 and without decay stays as it is") {
  const auto network = small_network("fixup_resnet8", stream);
  const auto before = small_network("fixup_resnet8", stream);
  randomise(*network, 1);
  before->state().copy_from(network->state());
  Training training(*network);
  training.step(arena, 0);
  CHECK(same_values(network->state(), before->state()));
  training.step(arena, 0.1);
  for (double distance : network->state().module_distances(before->state())) CHECK(distance > 0);
}

TEST_CASE_FIXTURE(OnCpu, "training lowers the loss") {
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    const auto network = small_network(name, stream);
    network->initialize(1);
    Training training(*network);
    const float first = training.step(arena, 0.05);
    float last = first;
    for (int i = 0; i < 40; ++i) last = training.step(arena, 0.05);
    CHECK_MESSAGE(last < first / 4, name, ": loss ", first, " then ", last);
  }
}

TEST_CASE("the rate drops at each milestone") {
  const Schedule schedule{0.8, {2, 5}, 0.5};
  const double want[] = {0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2};
  for (int64_t epoch = 0; epoch < 7; ++epoch) CHECK(schedule.learning_rate(epoch) == want[epoch]);
  const Schedule constant{0.3, {}, 0.1};
  CHECK(constant.learning_rate(0) == 0.3);
  CHECK(constant.learning_rate(1000) == 0.3);
  const Schedule paper{0.1, {30, 60, 90}, 0.1};
  CHECK(paper.learning_rate(29) == 0.1);
  CHECK(paper.learning_rate(30) == doctest::Approx(0.01));
  CHECK(paper.learning_rate(99) == doctest::Approx(1e-4));
}
