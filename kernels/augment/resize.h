// Pillow's bilinear resize: a triangle filter, widened by the scale when shrinking, horizontally
// and then vertically, in 22-bit fixed point and with 8-bit values between. All devices take its
// weights from one table, so that all have the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/host_device.h"

namespace basin {

constexpr int kResizeWeightBits = 22;
constexpr int32_t kResizeHalf = 1 << (kResizeWeightBits - 1);

// One output position: the sum over i < count of weights[weight + i] * in[first + i].
struct ResizeTap {
  int32_t first, count, weight;
};

// Weights of resizes from one size to another.
struct ResizeTable {
  std::vector<ResizeTap> taps;
  std::vector<int32_t> weights;  // those of one output position sum to about 2^22

  // Appends the taps of a resize from in_size to out_size values, both at least 1; returns where
  // the first of its out_size taps is.
  int32_t add(int64_t in_size, int64_t out_size);
};

// `sum` begins with kResizeHalf. It fits in 32 bits: 255 * 2^22 and a little, for the weights are
// at least 0.
BASIN_HOST_DEVICE inline uint8_t resized_byte(int32_t sum) {
  const int32_t value = sum >> kResizeWeightBits;
  return static_cast<uint8_t>(value < 0 ? 0 : (value > 255 ? 255 : value));
}

// A resize of RGB pixels, [in_height, in_width, 3] with `in_pitch` bytes from row to row, to
// [out_height, out_width, 3] without gaps.
struct Resize {
  const uint8_t* in;
  int64_t in_pitch, in_height, in_width;
  const ResizeTap *row_taps, *column_taps;  // [out_height], [out_width]
  const int32_t* weights;
  uint8_t* out;
  int64_t out_height, out_width;
};

}  // namespace basin
