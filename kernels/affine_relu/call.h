// The calls of Fixup's elementwise step: a scalar scale and scalar biases around a ReLU, with a
// residual. Source: Zhang, Dauphin, Ma, "Fixup initialization" (ICLR 2019); the scalars of its
// bottleneck block.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// z = scale*x + bias + residual - residual_shift;  y = (relu ? max(z, 0) : z) + shift
// What the shift is added to is rounded to T, so that y has the same bits where a later call adds
// it. Scalars are pointers to one element; null: scale 1, biases 0, no residual. residual_shift
// takes back a shift that the residual tensor already carries: a block stores only out + bias1a,
// which its first convolution reads, and its skip connection subtracts bias1a again.
template <class T>
struct AffineReluForward {
  static constexpr const char* kName = "affine_relu_forward";
  const T *x, *residual;
  const ParameterType<T>*scale, *bias, *residual_shift, *shift;
  T* y;
  uint8_t* mask;  // 1 where z > 0; null: not wanted. After rounding it cannot be read back from y
                  // when there is a shift
  bool relu;
  int64_t size;
  double flops() const { return 4.0 * static_cast<double>(size); }
  double bytes() const {
    return static_cast<double>(size) * (sizeof(T) * (residual ? 3.0 : 2.0) + (mask ? 1.0 : 0.0));
  }
};

// dz = relu ? dy*mask : dy;  dx (+)= scale*dz;  dresidual (+)= dz;  dscale (+)= sum dz*x;
// dbias (+)= sum dz;  dresidual_shift (+)= -sum dz;  dshift (+)= sum dy.  Any output may be null.
// Sums: fixed chunks, partial sums in double, added in chunk order.
template <class T>
struct AffineReluBackward {
  static constexpr const char* kName = "affine_relu_backward";
  const T *dy, *x;  // x only for dscale
  const uint8_t* mask;
  const ParameterType<T>* scale;
  bool relu;
  T *dx, *dresidual;
  ParameterType<T>*dscale, *dbias, *dresidual_shift, *dshift;
  bool accumulate_dx, accumulate_dresidual, accumulate_dscale, accumulate_dbias;
  bool accumulate_dresidual_shift, accumulate_dshift;
  double* partials;  // at least partials_size() elements
  int64_t size;
  static constexpr int64_t kChunk = 16384;
  constexpr int64_t partials_size() const { return 3 * ((size + kChunk - 1) / kChunk); }
  double flops() const { return 5.0 * static_cast<double>(size); }
  double bytes() const {
    return static_cast<double>(size) *
           (sizeof(T) *
                (1.0 + (dscale ? 1 : 0) + (dx ? 1 : 0) + (dresidual ? 1 : 0) +
                 (dx && accumulate_dx ? 1 : 0) + (dresidual && accumulate_dresidual ? 1 : 0)) +
            (relu ? 1.0 : 0.0));
  }
};

}  // namespace basin
