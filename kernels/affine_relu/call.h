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
  const T *x, *residual = nullptr;
  const ParameterType<T>*scale = nullptr, *bias = nullptr, *residual_shift = nullptr,
        *shift = nullptr;
  T* y;
  uint8_t* mask = nullptr;  // 1 where z > 0; null: not wanted. With a shift, y does not tell after
                            // rounding
  bool relu;
  int64_t size;
  double flops() const { return count(4, size); }
  double bytes() const { return count(size, sizeof(T) * (residual ? 3 : 2) + (mask ? 1 : 0)); }
};

// dz = relu ? dy*mask : dy;  dx (+)= scale*dz;  dresidual (+)= dz;  dscale (+)= sum dz*x;
// dbias (+)= sum dz;  dresidual_shift (+)= -sum dz;  dshift (+)= sum dy.
// Sums: fixed chunks, partial sums in double, added in chunk order.
template <class T>
struct AffineReluBackward {
  static constexpr const char* kName = "affine_relu_backward";
  const T *dy, *x = nullptr;      // x only for dscale
  const uint8_t* mask = nullptr;  // only with relu
  const ParameterType<T>* scale = nullptr;
  bool relu;
  // Written in this order: of two that are one tensor, the second must be the one that adds.
  Gradient<T> dx = {}, dresidual = {};
  Gradient<ParameterType<T>> dbias = {}, dresidual_shift = {}, dscale = {}, dshift = {};
  int64_t size;
  double* partials = nullptr;  // at least partials_size() elements
  static constexpr int64_t kChunk = 16384;
  constexpr int64_t partials_size() const { return 3 * ((size + kChunk - 1) / kChunk); }
  double flops() const { return count(5, size); }
  double bytes() const {
    return count(size, sizeof(T) * (1 + (dscale.to ? 1 : 0) + dx.passes() + dresidual.passes()) +
                           (relu ? 1 : 0));
  }
};

}  // namespace basin
