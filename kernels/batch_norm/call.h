// The calls of batch normalisation over the rows of a [rows, channels] tensor (NHWC: rows = N*H*W),
// fused with the residual addition and the ReLU that follow it. Source: Ioffe, Szegedy (2015);
// semantics of PyTorch.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// A tensor and what normalises it: z = (x - mean)*inverse_std*weight + bias. Vectors of [channels].
template <class T>
struct BatchNormInput {
  const T* x;
  const ParameterType<T>*mean, *inverse_std, *weight, *bias;
};

// Rows that are summed together before the sums of all are put together in order: a function of
// the shape, so that the result does not depend on the number of threads.
constexpr int64_t batch_norm_chunk_rows(int64_t channels) {
  return channels >= 16384 ? 1 : 16384 / channels;
}
constexpr int64_t batch_norm_chunks(int64_t rows, int64_t channels) {
  return (rows + batch_norm_chunk_rows(channels) - 1) / batch_norm_chunk_rows(channels);
}

// mean and 1/sqrt(biased variance + epsilon) per channel, and
// running = (1-momentum)*running + momentum*(mean | unbiased variance). running_* may be null.
// Two passes over cached row chunks, chunks merged in order by Chan's formula in double.
template <class T>
struct BatchNormStatistics {
  static constexpr const char* kName = "batch_norm_statistics";
  const T* x;
  ParameterType<T>*mean, *inverse_std, *running_mean, *running_variance;
  double epsilon, momentum;
  double* partials = nullptr;  // at least partials_size() elements
  int64_t rows, channels;
  constexpr int64_t partials_size() const {
    return batch_norm_chunks(rows, channels) * 2 * channels;
  }
  double flops() const { return 5 * count(rows, channels); }
  double bytes() const { return count(sizeof(T), rows, channels); }
};

// y = [relu](z [+ residual])
template <class T>
struct BatchNormForward {
  static constexpr const char* kName = "batch_norm_forward";
  BatchNormInput<T> input;
  const T* residual = nullptr;
  T* y;
  bool relu;
  int64_t rows, channels;
  double flops() const { return 4 * count(rows, channels); }
  double bytes() const { return count(residual ? 3 : 2, sizeof(T), rows, channels); }
};

// Gradients of BatchNormForward with batch statistics. dz = relu ? dy*(y > 0) : dy; dresidual (+)=
// dz; dbias (+)= sum dz; dweight (+)= sum dz*xhat; dx (+)= weight*inverse_std*(dz - mean(dz) -
// xhat*mean(dz*xhat)). y is needed when relu. dresidual is written before dx.
template <class T>
struct BatchNormBackward {
  static constexpr const char* kName = "batch_norm_backward";
  BatchNormInput<T> input;
  const T *y = nullptr, *dy = nullptr;
  bool relu = false;
  Gradient<T> dx = {}, dresidual = {};
  Gradient<ParameterType<T>> dweight = {}, dbias = {};
  double* partials = nullptr;  // at least partials_size() elements
  int64_t rows, channels;
  constexpr int64_t partials_size() const {
    return (batch_norm_chunks(rows, channels) + 1) * 2 * channels;
  }
  double flops() const { return 10 * count(rows, channels); }
  double bytes() const {  // x, dy and y twice
    return count((relu ? 6 : 4) + (dx.to ? 1 : 0) + (dresidual.to ? 1 : 0), sizeof(T), rows,
                 channels);
  }
};

// inverse_std = 1/sqrt(variance + epsilon), per channel: evaluation with running statistics.
template <class T>
struct BatchNormInverseStd {
  static constexpr const char* kName = "batch_norm_inverse_std";
  const ParameterType<T>* variance;
  ParameterType<T>* inverse_std;
  double epsilon;
  int64_t channels;
  double flops() const { return 3 * count(channels); }
  double bytes() const { return 8 * count(channels); }
};

}  // namespace basin
