// Gradients against central differences, in double.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/state.h"
#include "kernels/base/random.h"

namespace basin::test {

// The largest memory a test may use; small, so that reserving it is cheap under ASan.
constexpr int64_t kTestArenaBytes = int64_t{64} << 20;

// sum_i cotangents[i] * y[i]: a loss of any tensor, whose gradient for y is the cotangents.
inline Tensor weighted_sum(Tape& tape, const Tensor& y, const std::vector<double>& cotangents) {
  REQUIRE(static_cast<size_t>(y.size()) == cotangents.size());
  Tensor loss = tape.empty({1}, DType::kF64);
  double sum = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    sum += cotangents[static_cast<size_t>(i)] * y.data<double>()[i];
  }
  *loss.data<double>() = sum;
  return tape.record(loss, {y}, [&tape, y = y.slot(), cotangents](const Tensor& dloss) {
    const Gradient<double> dy = tape.gradient<double>(y);
    for (size_t i = 0; i < cotangents.size(); ++i) {
      const double add = *dloss.data<double>() * cotangents[i];
      double& out = dy.to[i];
      out = dy.accumulate ? out + add : add;
    }
  });
}

// Numbers from N(0, 1), the same for the same seed.
inline std::vector<double> normals(int64_t size, uint32_t seed) {
  RandomStream random(seed, RandomPurpose::kNoise, 77);
  std::vector<double> values(static_cast<size_t>(size));
  for (double& value : values) value = random.normal();
  return values;
}

struct GradientReport {
  // Largest error of a coordinate, relative to the largest derivative seen in its parameter, and
  // where it was.
  double worst = 0;
  std::string where;
  int64_t checked = 0;
  // Coordinates left out: the two step sizes disagree, so a kink of a ReLU or a maximum lies within
  // a step.
  int64_t near_kinks = 0;
};

// Compares the gradients that `loss_of` records for all parameters of `state` with differences of
// fourth order, on `samples` coordinates of each parameter (0: all).
inline GradientReport check_gradients(State& state, StepArena& arena,
                                      const std::function<Tensor(Tape&)>& loss_of, double step,
                                      int64_t samples) {
  {
    Tape tape(state.stream(), arena, true);
    state.begin_step();
    tape.backward(loss_of(tape));
    state.check_gradients_written();
  }
  auto loss_value = [&] {
    Tape tape(state.stream(), arena, true);
    return *loss_of(tape).data<double>();
  };
  GradientReport report;
  RandomStream random(5, RandomPurpose::kNoise, 99);
  for (const State::Entry& entry : state.entries()) {
    if (entry.buffer) continue;
    double* values = entry.tensor.data<double>();
    const double* gradient = entry.tensor.gradient().data<double>();
    const int64_t size = entry.shape.elements();
    double largest = 0;
    for (int64_t i = 0; i < size; ++i) largest = std::max(largest, std::abs(gradient[i]));
    auto derivative = [&](int64_t i, double h) {
      const double start = values[i];
      auto at = [&](double offset) {
        values[i] = start + offset;
        return loss_value();
      };
      const double near = at(h) - at(-h), far = at(2 * h) - at(-2 * h);
      values[i] = start;
      return (8 * near - far) / (12 * h);
    };
    const bool all = samples == 0 || samples >= size;
    for (int64_t s = 0; s < (all ? size : samples); ++s) {
      const int64_t i = all ? s : random.below(static_cast<uint32_t>(size));
      const double numeric = derivative(i, step), finer = derivative(i, step / 2);
      const double scale = std::max({largest, std::abs(numeric), 1e-7});
      if (std::abs(numeric - finer) > 1e-6 * scale) {
        ++report.near_kinks;
        continue;
      }
      ++report.checked;
      const double error = std::abs(numeric - gradient[i]) / scale;
      if (!(error <= report.worst)) {
        report.worst = error;
        report.where =
            concat(entry.name, "[", i, "]: recorded ", gradient[i], ", measured ", numeric);
      }
    }
  }
  return report;
}

}  // namespace basin::test
