// The calls of batch normalisation over the rows of a [rows, channels] tensor (NHWC: rows = N*H*W),
// fused with the residual addition and the ReLU that follow it. Source: Ioffe, Szegedy (2015);
// semantics of PyTorch.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// Whether `rows` vectors of 16 bytes, the narrowest slice of channels, fit `copies` times into the
// shared memory of a block, of which sums take kSliceSums. With compute capability 9.0 a block has
// 227 KiB; a GPU with less reads more often than bytes() says.
constexpr int64_t kSliceSums = 4 * 1024;
constexpr bool slice_fits(int64_t rows, int64_t copies, int64_t shared_memory = 227 * 1024) {
  return rows * copies * 16 + kSliceSums <= shared_memory;
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

// BatchNormStatistics and then BatchNormForward with them: one call, so that a device can keep x on
// the chip in between.
template <class T>
struct BatchNormTrainForward {
  static constexpr const char* kName = "batch_norm_train_forward";
  const T *x, *residual;
  const ParameterType<T>*weight, *bias;
  ParameterType<T>*mean, *inverse_std, *running_mean, *running_variance;
  T* y;
  bool relu;
  double epsilon, momentum;
  double* partials;  // at least partials_size() elements
  int64_t rows, channels;
  constexpr BatchNormStatistics<T> statistics() const {
    return {x,       mean,     inverse_std, running_mean, running_variance,
            epsilon, momentum, partials,    rows,         channels};
  }
  constexpr BatchNormForward<T> forward() const {
    return {x, residual, mean, inverse_std, weight, bias, y, relu, rows, channels};
  }
  constexpr int64_t partials_size() const { return statistics().partials_size(); }
  double flops() const { return statistics().flops() + forward().flops(); }
  double bytes() const {
    return forward().bytes() + (slice_fits(rows, 1) ? 0 : statistics().bytes());
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
           (reads() + (dx ? 1 : 0) + (dresidual ? 1 : 0));
  }
  // Of x, dy and y: once each, where the gradient and x fit on the chip; twice, where nothing does.
  double reads() const {
    if (slice_fits(rows, 2)) return relu ? 3 : 2;
    if (slice_fits(rows, 1)) return relu ? 4 : 3;
    return relu ? 6 : 4;
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

}  // namespace basin
