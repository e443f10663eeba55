// Convolution as one readable CUDA kernel for each direction: the piece of the laboratory, and a
// second opinion on what a library computes. CUDA only; layouts as in kernels/conv2d.h.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/types.h"

namespace basin {

// y = conv(x, w)
template <class T>
struct Conv2dImplicitGemmForward {
  static constexpr const char* kName = "conv2d_implicit_gemm_forward";
  Conv2dShape shape;
  const T *x, *w;
  T* y;
  double flops() const { return shape.flops(); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) *
           static_cast<double>(shape.x_size() + shape.w_size() + shape.y_size());
  }
};

// dx (+)= gradient for x. With a stride s it visits all taps of a pixel, of which 1/s^2 count.
template <class T>
struct Conv2dImplicitGemmBackwardData {
  static constexpr const char* kName = "conv2d_implicit_gemm_backward_data";
  Conv2dShape shape;
  const T *dy, *w;
  T* dx;
  bool accumulate;
  double flops() const { return shape.flops(); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) *
           static_cast<double>((accumulate ? 2 : 1) * shape.x_size() + shape.w_size() +
                               shape.y_size());
  }
};

// dw (+)= gradient for w, kept in float. The pixels of y are cut into chunks, whose gradients go to
// `partials` and are added in order.
template <class T>
struct Conv2dImplicitGemmBackwardWeights {
  static constexpr const char* kName = "conv2d_implicit_gemm_backward_weights";
  static constexpr int64_t kChunk = 2048;  // pixels
  Conv2dShape shape;
  const T *x, *dy;
  ParameterType<T>* dw;
  bool accumulate;
  float* partials;  // partials_size() elements
  constexpr int64_t pixels() const { return shape.batch * shape.out_height() * shape.out_width(); }
  constexpr int64_t chunks() const { return (pixels() + kChunk - 1) / kChunk; }
  constexpr int64_t partials_size() const { return chunks() * shape.w_size(); }
  double flops() const { return shape.flops(); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(shape.x_size() + shape.y_size()) +
           4.0 * static_cast<double>(2 * partials_size() + (accumulate ? 2 : 1) * shape.w_size());
  }
};

}  // namespace basin
