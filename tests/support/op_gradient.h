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

 private:
  Stream stream_;
  State state_;
  StepArena arena_;
};

}  // namespace basin::test
