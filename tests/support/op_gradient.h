// The gradient of an op against central differences in double, for all of its inputs.
#pragma once

#include <string>

#include "tests/support/gradient_check.h"

namespace basin::test {

// Parameters that stand for an op's inputs, and the check of a function of them.
class Inputs {
 public:
  Inputs() : stream_(Device::kCpu), state_(DType::kF64, stream_), arena_(kTestArenaBytes) {
    state_.begin_module("inputs");
  }
  Tensor add(const std::string& name, const Shape& shape) {
    return state_.add_parameter(name, shape);
  }
  Tensor add_buffer(const std::string& name, const Shape& shape) {
    return state_.add_buffer(name, shape);
  }
  BatchNorm add_norm(const std::string& prefix, int64_t channels) {
    return {add(prefix + "weight", {channels}), add(prefix + "bias", {channels}),
            add_buffer(prefix + "running_mean", {channels}),
            add_buffer(prefix + "running_var", {channels})};
  }
  void allocate() {
    state_.allocate(State::Use::kTraining);
    draw(1);
  }
  // All inputs from N(0, 1).
  void draw(uint32_t seed) {
    for (const State::Entry& entry : state_.entries()) {
      const std::vector<double> values = normals(entry.shape.elements(), seed++);
      std::copy(values.begin(), values.end(), entry.tensor.data<double>());
    }
  }
  // The values of `op` on the inputs as they are.
  std::vector<double> values_of(const std::function<Tensor(Tape&)>& op) {
    Tape tape(stream_, arena_, false);
    const Tensor y = op(tape);
    return {y.data<double>(), y.data<double>() + y.size()};
  }
  // Checks the gradient of sum(random * op(inputs)) in all coordinates.
  void check(const std::string& what, const std::function<Tensor(Tape&)>& op) {
    const auto size = static_cast<int64_t>(values_of(op).size());
    const std::vector<double> cotangents = normals(size, 1000);
    const GradientReport report = check_gradients(
        state_, arena_, [&](Tape& tape) { return weighted_sum(tape, op(tape), cotangents); }, 1e-3,
        0);
    CHECK_MESSAGE(report.worst < 1e-8, what, ": relative error ", report.worst, " at ",
                  report.where);
    CHECK_MESSAGE(report.near_kinks == 0, what, ": ", report.near_kinks, " of ",
                  report.checked + report.near_kinks, " coordinates are near a kink");
    CHECK(report.checked > 0);
    CHECK(arena_.live_bytes() == 0);
  }
  // The same of a sum of two: the second adds to the gradients that the first wrote.
  void check_sum(const std::string& what, const std::function<Tensor(Tape&)>& first,
                 const std::function<Tensor(Tape&)>& second) {
    check(what, [&](Tape& tape) {
      const Tensor a = first(tape);
      return basin::add(tape, a, second(tape));
    });
  }
  void check_twice(const std::string& what, const std::function<Tensor(Tape&)>& op) {
    check_sum(what + " twice", op, op);
  }

 private:
  Stream stream_;
  State state_;
  StepArena arena_;
};

// Draws new inputs until no value of `before_relu` is near zero.
inline void draw_away_from_zero(Inputs& inputs, const std::function<Tensor(Tape&)>& before_relu,
                                double margin) {
  for (uint32_t seed = 1; seed < 100000; seed += 100) {
    inputs.draw(seed);
    double nearest = 1;
    for (double value : inputs.values_of(before_relu)) {
      nearest = std::min(nearest, std::abs(value));
    }
    if (nearest > margin) return;
  }
  FAIL("no inputs away from the kink of the ReLU");
}

// Distances of 0.1 between any two values, in random order: no maximum changes within a step.
inline void space_out(const Tensor& x) {
  std::vector<int64_t> order(static_cast<size_t>(x.size()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  RandomStream random(3, RandomPurpose::kNoise);
  shuffle(order.begin(), order.end(), random);
  for (size_t i = 0; i < order.size(); ++i) {
    x.data<double>()[i] = 0.1 * static_cast<double>(order[i]) - 2;
  }
}

}  // namespace basin::test
