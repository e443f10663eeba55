// The weights of a resize, and the resize on the CPU.
#include "kernels/augment/resize.h"
#include "kernels/device/declarations.h"

#include <algorithm>
#include <cmath>

namespace basin {

// Pillow's precomputed coefficients: triangle filter of radius max(scale, 1).
int32_t ResizeTable::add(int64_t in_size, int64_t out_size) {
  const auto begin = static_cast<int32_t>(taps.size());
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double support = std::max(scale, 1.0);
  std::vector<double> shares;
  for (int64_t out = 0; out < out_size; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in_size);
    shares.clear();
    double sum = 0;
    for (int64_t in = first; in < last; ++in) {
      const double distance = std::abs((static_cast<double>(in) - center + 0.5) * (1.0 / support));
      shares.push_back(std::max(0.0, 1.0 - distance));
      sum += shares.back();
    }
    taps.push_back({static_cast<int32_t>(first), static_cast<int32_t>(last - first),
                    static_cast<int32_t>(weights.size())});
    for (const double share : shares) {
      weights.push_back(static_cast<int32_t>(share / sum * (1 << kResizeWeightBits) + 0.5));
    }
  }
  return begin;
}

namespace cpu {
namespace {

void compute(const Resize& call) {
  const int64_t out_pitch = call.out_width * 3;
  std::vector<uint8_t> narrowed(call.in_height * out_pitch);
  for (int64_t y = 0; y < call.in_height; ++y) {
    const uint8_t* in = call.in + y * call.in_pitch;
    uint8_t* __restrict out = &narrowed[y * out_pitch];
    for (int64_t x = 0; x < call.out_width; ++x) {
      int32_t sum[3] = {kResizeHalf, kResizeHalf, kResizeHalf};
      const ResizeTap tap = call.column_taps[x];
      const uint8_t* at = in + int64_t{tap.first} * 3;
      for (int32_t i = 0; i < tap.count; ++i) {
        const int32_t weight = call.weights[tap.weight + i];
        for (int c = 0; c < 3; ++c) sum[c] += weight * at[c];
        at += 3;
      }
      for (int c = 0; c < 3; ++c) out[x * 3 + c] = resized_byte(sum[c]);
    }
  }
  std::vector<int32_t> sums(out_pitch);
  for (int64_t y = 0; y < call.out_height; ++y) {
    std::fill(sums.begin(), sums.end(), kResizeHalf);
    const ResizeTap tap = call.row_taps[y];
    const uint8_t* in = &narrowed[tap.first * out_pitch];
    for (int32_t i = 0; i < tap.count; ++i) {
      const int32_t weight = call.weights[tap.weight + i];
      for (int64_t x = 0; x < out_pitch; ++x) sums[x] += weight * in[x];
      in += out_pitch;
    }
    uint8_t* __restrict out = call.out + y * out_pitch;
    for (int64_t x = 0; x < out_pitch; ++x) out[x] = resized_byte(sums[x]);
  }
}

}  // namespace

BASIN_CPU_RUN(Resize)

}  // namespace cpu

}  // namespace basin
