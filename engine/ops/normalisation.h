// What the ops with a batch normalisation share: its checks, its statistics and its gradients.
#pragma once

#include "engine/ops.h"
#include "engine/ops/partials.h"
#include "kernels/batch_norm/call.h"

namespace basin {

// x, and what it is normalised with in this step.
struct Normalised {
  Tensor x, mean, inverse_std, weight, bias;

  template <class T>
  BatchNormInput<T> input() const {
    using P = ParameterType<T>;
    return {.x = x.data<T>(),
            .mean = mean.data<P>(),
            .inverse_std = inverse_std.data<P>(),
            .weight = weight.data<P>(),
            .bias = bias.data<P>()};
  }
};

// Statistics of x over all dimensions but the last: of the batch, which update the running ones, or
// the running ones. Throws Error where x does not fit the parameters or has one value per channel.
template <class T>
Normalised normalise(Tape& tape, const Tensor& x, const BatchNorm& norm, Mode mode) {
  using P = ParameterType<T>;
  const int64_t channels = x.shape()[x.shape().rank() - 1];
  BASIN_CHECK(norm.weight.size() == channels, "batch_norm: x ", x.shape().text(), " has ", channels,
              " channels, the parameters ", norm.weight.size());
  const Tensor inverse_std = tape.empty({channels}, norm.weight.dtype());
  if (mode == Mode::kEvaluate) {
    run(BatchNormInverseStd<P>{.variance = norm.running_variance.data<P>(),
                               .inverse_std = inverse_std.data<P>(),
                               .epsilon = norm.epsilon,
                               .channels = channels},
        tape.stream());
    return {x, norm.running_mean, inverse_std, norm.weight, norm.bias};
  }
  BASIN_CHECK(
      x.size() > channels,
      "batch_norm: statistics of one value per channel in training; use a larger --batch-size");
  const Tensor mean = tape.empty({channels}, norm.weight.dtype());
  run_with_partials(BatchNormStatistics<T>{.x = x.data<T>(),
                                           .mean = mean.data<P>(),
                                           .inverse_std = inverse_std.data<P>(),
                                           .running_mean = norm.running_mean.data<P>(),
                                           .running_variance = norm.running_variance.data<P>(),
                                           .epsilon = norm.epsilon,
                                           .momentum = norm.momentum,
                                           .rows = x.size() / channels,
                                           .channels = channels},
                    tape);
  return {x, mean, inverse_std, norm.weight, norm.bias};
}

// Throws Error where a gradient of `inputs` is wanted in evaluation: there is none.
inline void check_recording(Tape& tape, std::initializer_list<Tensor> inputs, Mode mode) {
  BASIN_CHECK(mode == Mode::kTrain || !tape.will_record(inputs),
              "batch_norm: no gradient in evaluation mode; turn recording off");
}

}  // namespace basin
