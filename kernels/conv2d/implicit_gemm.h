// Convolution as one readable CUDA kernel for each direction: the piece of the laboratory, and a
// second opinion on what a library computes. CUDA only; the calls are those of
// kernels/conv2d/call.h.
#pragma once

#include "kernels/conv2d/call.h"

namespace basin {

// `call`, a Conv2dForward or Conv2dBackwardData, whose workspace is not used. With a stride s the
// backward direction visits all taps of a pixel, of which 1/s^2 count.
template <class Call>
struct ImplicitGemm {
  static constexpr const char* kName = "conv2d_implicit_gemm";
  Call call;
  double flops() const { return call.flops(); }
  double bytes() const { return call.bytes(); }
};

// The pixels of y are cut into chunks, whose gradients go to the call's workspace, partials_size()
// floats, and are added in order.
template <class T>
struct ImplicitGemm<Conv2dBackwardWeights<T>> {
  static constexpr const char* kName = "conv2d_implicit_gemm";
  static constexpr int64_t kChunk = 2048;  // pixels
  Conv2dBackwardWeights<T> call;
  constexpr int64_t pixels() const {
    return call.shape.batch * call.shape.out_height() * call.shape.out_width();
  }
  constexpr int64_t chunks() const { return (pixels() + kChunk - 1) / kChunk; }
  constexpr int64_t partials_size() const { return chunks() * call.shape.w_size(); }
  double flops() const { return call.flops(); }
  double bytes() const { return call.bytes() + 8.0 * static_cast<double>(partials_size()); }
};

}  // namespace basin
