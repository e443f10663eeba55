// The calls of batch normalisation over the rows of a [rows, channels] tensor (NHWC: rows = N*H*W),
// fused with the residual addition and the ReLU that follow it. Source: Ioffe, Szegedy (2015);
// semantics of PyTorch.
#pragma once

#include <cstdint>

#include "kernels/types.h"

namespace basin {

// mean and 1/sqrt(biased variance + epsilon) per channel, and
// running = (1-momentum)*running + momentum*(mean | unbiased variance). running_* may be null.
// Two passes over cached row chunks, chunks merged in order by Chan's formula in double.
template <class T>
struct BatchNormStatistics {
  static constexpr const char* kName = "batch_norm_statistics";
  const T* x;
  ParameterType<T>*mean, *inverse_std, *running_mean, *running_variance;
  double epsilon, momentum;
  double* partials;  // at least partials_size() elements
  int64_t rows, channels;
  constexpr int64_t chunk_rows() const { return channels >= 16384 ? 1 : 16384 / channels; }
  constexpr int64_t partials_size() const {
    return (rows + chunk_rows() - 1) / chunk_rows() * 2 * channels;
  }
  double flops() const { return 5.0 * static_cast<double>(rows * channels); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * channels);
  }
};

// y = [relu]((x - mean)*inverse_std*weight + bias [+ residual])
template <class T>
struct BatchNormForward {
  static constexpr const char* kName = "batch_norm_forward";
  const T *x, *residual;
  const ParameterType<T>*mean, *inverse_std, *weight, *bias;
  T* y;
  bool relu;
  int64_t rows, channels;
  double flops() const { return 4.0 * static_cast<double>(rows * channels); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * channels) *
           (residual ? 3 : 2);
  }
};

// Gradients of BatchNormForward with batch statistics. dz = relu ? dy*(y > 0) : dy; dresidual (+)=
// dz; dbias (+)= sum dz; dweight (+)= sum dz*xhat; dx (+)= weight*inverse_std*(dz - mean(dz) -
// xhat*mean(dz*xhat)). y is needed when relu. dx, dresidual may be null.
template <class T>
struct BatchNormBackward {
  static constexpr const char* kName = "batch_norm_backward";
  const T *x, *y, *dy;
  const ParameterType<T>*mean, *inverse_std, *weight;
  bool relu;
  T *dx, *dresidual;
  ParameterType<T>*dweight, *dbias;
  bool accumulate_dx, accumulate_dresidual, accumulate_dweight, accumulate_dbias;
  double* partials;
  int64_t rows, channels;
  constexpr int64_t chunk_rows() const { return channels >= 16384 ? 1 : 16384 / channels; }
  constexpr int64_t partials_size() const {
    return ((rows + chunk_rows() - 1) / chunk_rows() + 1) * 2 * channels;
  }
  double flops() const { return 10.0 * static_cast<double>(rows * channels); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * channels) *
           ((relu ? 6.0 : 4.0) + (dx ? 1 : 0) + (dresidual ? 1 : 0));
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
  double flops() const { return 3.0 * static_cast<double>(channels); }
  double bytes() const { return 8.0 * static_cast<double>(channels); }
};

namespace cpu {
template <class T>
void run(const BatchNormStatistics<T>&);
template <class T>
void run(const BatchNormForward<T>&);
template <class T>
void run(const BatchNormBackward<T>&);
template <class T>
void run(const BatchNormInverseStd<T>&);
}  // namespace cpu

}  // namespace basin
