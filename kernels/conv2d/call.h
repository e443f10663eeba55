// The calls of 2-D convolution: forward, gradient for the input, gradient for the weights.
// Layouts: activations NHWC, weights KRSC (out channel, row, column, in channel).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/types.h"
#include "kernels/batch_norm/call.h"
#include "kernels/device/description.h"

namespace basin {

// One convolution's geometry. Same padding on all sides, square stride, no groups, no dilation.
struct Conv2dShape {
  int64_t batch, height, width, in_channels;          // x: [batch, height, width, in_channels]
  int64_t out_channels, kernel_height, kernel_width;  // w: [out, kernel_height, kernel_width, in]
  int64_t stride, padding;

  constexpr int64_t out_height() const {
    return (height + 2 * padding - kernel_height) / stride + 1;
  }
  constexpr int64_t out_width() const { return (width + 2 * padding - kernel_width) / stride + 1; }
  constexpr int64_t x_size() const { return batch * height * width * in_channels; }
  constexpr int64_t w_size() const {
    return out_channels * kernel_height * kernel_width * in_channels;
  }
  constexpr int64_t y_size() const { return batch * out_height() * out_width() * out_channels; }
  double flops() const {  // of the definition: a multiplication and an addition are two
    return count(2, y_size(), kernel_height, kernel_width, in_channels);
  }
};

// y = conv(x, w), or, with a bias, y = [relu](conv(x, w) + bias [+ residual]) in one pass, for
// evaluation.
template <class T>
struct Conv2dForward {
  static constexpr const char* kName = "conv2d_forward";
  Conv2dShape shape;
  const T *x = nullptr, *w = nullptr;
  T* y = nullptr;
  // At least workspace_bytes(), 64-byte aligned; contents do not matter. The size grows with
  // threads(): ask after set_threads().
  void* workspace = nullptr;
  const T* bias = nullptr;      // [out_channels]; null: no epilogue
  const T* residual = nullptr;  // of the shape of y; null: none
  bool relu = false;
  int64_t workspace_bytes() const;
  double flops() const { return shape.flops(); }
  double bytes() const {
    return count(sizeof(T), shape.x_size() + shape.w_size() + (residual ? 2 : 1) * shape.y_size());
  }
  // For the roofline: an epilogue is a batch norm that was folded into the weights and the bias.
  std::vector<CallDescription> unfused() const {
    if (!bias) return {};
    Conv2dForward convolution{};
    convolution.shape = shape;
    BatchNormForward<T> norm{};
    norm.residual = residual, norm.relu = relu;
    norm.rows = shape.batch * shape.out_height() * shape.out_width();
    norm.channels = shape.out_channels;
    return {describe_call(convolution), describe_call(norm)};
  }
};

// The gradient for x.
template <class T>
struct Conv2dBackwardData {
  static constexpr const char* kName = "conv2d_backward_data";
  Conv2dShape shape;
  const T *dy = nullptr, *w = nullptr;
  Gradient<T> dx = {};
  void* workspace = nullptr;
  int64_t workspace_bytes() const;
  double flops() const { return shape.flops(); }
  double bytes() const {
    return count(sizeof(T),
                 (dx.accumulate ? 2 : 1) * shape.x_size() + shape.w_size() + shape.y_size());
  }
};

// The gradient for w.
template <class T>
struct Conv2dBackwardWeights {
  static constexpr const char* kName = "conv2d_backward_weights";
  Conv2dShape shape;
  const T *x = nullptr, *dy = nullptr;
  Gradient<ParameterType<T>> dw = {};
  void* workspace = nullptr;
  int64_t workspace_bytes() const;
  double flops() const { return shape.flops(); }
  double bytes() const {
    return count(sizeof(T), shape.x_size() + shape.y_size()) +
           count(sizeof(ParameterType<T>), dw.accumulate ? 2 : 1, shape.w_size());
  }
};

}  // namespace basin
