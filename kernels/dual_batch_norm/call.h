// The calls of the end of a residual block whose shortcut has a batch normalisation of its own:
// both normalisations, their sum and the ReLU in one, so that the normalised shortcut is never
// written. Statistics come from BatchNormStatistics, or in evaluation from BatchNormInverseStd.
#pragma once

#include "kernels/batch_norm/call.h"

namespace basin {

// One of the two tensors, [rows, channels], and what it is normalised with: z = (x - mean) *
// inverse_std * weight + bias.
template <class T>
struct NormalisedInput {
  const T* x;
  const ParameterType<T>*mean, *inverse_std, *weight, *bias;
};

// y = relu(z of the first + z of the second)
template <class T>
struct DualBatchNormForward {
  static constexpr const char* kName = "dual_batch_norm_forward";
  static constexpr bool relu = true;
  NormalisedInput<T> first, second;
  T* y;
  int64_t rows, channels;
  double flops() const { return 8.0 * static_cast<double>(rows * channels); }
  double bytes() const {
    return 3.0 * static_cast<double>(sizeof(T)) * static_cast<double>(rows * channels);
  }
};

// Where the gradients of one of the two go, each (+)= as its flag says. dx may be null.
template <class T>
struct NormalisedInputGradients {
  T* dx;
  ParameterType<T>*dweight, *dbias;
  bool accumulate_dx, accumulate_dweight, accumulate_dbias;
};

// Gradients of DualBatchNormForward with batch statistics: those of BatchNormBackward for both,
// from one dz = dy*(y > 0). Those of the first are written before those of the second.
template <class T>
struct DualBatchNormBackward {
  static constexpr const char* kName = "dual_batch_norm_backward";
  static constexpr bool relu = true;
  const T *y, *dy;
  NormalisedInput<T> first, second;
  NormalisedInputGradients<T> dfirst, dsecond;
  double* partials;  // at least partials_size() elements
  int64_t rows, channels;
  constexpr int64_t chunk_rows() const { return channels >= 16384 ? 1 : 16384 / channels; }
  constexpr int64_t chunks() const { return (rows + chunk_rows() - 1) / chunk_rows(); }
  constexpr int64_t partials_size() const { return (chunks() + 1) * 3 * channels; }
  double flops() const { return 18.0 * static_cast<double>(rows * channels); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * channels) *
           (8.0 + (dfirst.dx ? 1 : 0) + (dsecond.dx ? 1 : 0));
  }
};

}  // namespace basin
