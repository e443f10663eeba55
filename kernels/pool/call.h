// The calls of pooling, NHWC: 3x3 max pooling with stride 2 and padding 1, and global average
// pooling.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// The sides of what 3x3 max pooling makes of an image.
constexpr int64_t pooled_side(int64_t side) {
  return (side - 1) / 2 + 1;
}

// y[n,p,q,c] = max over the 3x3 window at (2p-1, 2q-1); index holds the window position 0..8 of the
// first maximum in row-major order (PyTorch's choice).
template <class T>
struct MaxPoolForward {
  static constexpr const char* kName = "max_pool_forward";
  const T* x;
  T* y;
  uint8_t* index = nullptr;  // null: not wanted
  int64_t batch, height, width, channels;
  constexpr int64_t out_height() const { return pooled_side(height); }
  constexpr int64_t out_width() const { return pooled_side(width); }
  double flops() const { return count(9, batch, out_height(), out_width(), channels); }
  double bytes() const {
    return count(batch, height, width, channels, sizeof(T)) +
           count(batch, out_height(), out_width(), channels, sizeof(T) + (index ? 1 : 0));
  }
};

// dx[n,h,w,c] (+)= sum of dy over the windows whose maximum was at (h, w). Gathers: no write
// conflicts.
template <class T>
struct MaxPoolBackward {
  static constexpr const char* kName = "max_pool_backward";
  const T* dy;
  const uint8_t* index;
  Gradient<T> dx;
  int64_t batch, height, width, channels;
  constexpr int64_t out_height() const { return pooled_side(height); }
  constexpr int64_t out_width() const { return pooled_side(width); }
  double flops() const { return count(batch, out_height(), out_width(), channels); }
  double bytes() const {
    return count(dx.passes(), batch, height, width, channels, sizeof(T)) +
           count(batch, out_height(), out_width(), channels, sizeof(T) + 1);
  }
};

// y[n,c] = mean over the `area` pixels of x[n,:,c]; summed in double
template <class T>
struct AveragePoolForward {
  static constexpr const char* kName = "average_pool_forward";
  const T* x;
  T* y;
  int64_t batch, area, channels;
  double flops() const { return count(batch, area, channels); }
  double bytes() const { return count(sizeof(T), batch, area + 1, channels); }
};

// dx[n,:,c] (+)= dy[n,c] / area
template <class T>
struct AveragePoolBackward {
  static constexpr const char* kName = "average_pool_backward";
  const T* dy;
  Gradient<T> dx;
  int64_t batch, area, channels;
  double flops() const { return count(batch, area, channels); }
  double bytes() const { return count(sizeof(T), batch, dx.passes() * area + 1, channels); }
};

}  // namespace basin
