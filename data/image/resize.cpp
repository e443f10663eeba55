// Pillow's bilinear resize, in fixed point.
#include "data/image/resize.h"

#include <algorithm>
#include <cmath>

#include "data/image/image.h"

namespace basin::data {
namespace {

constexpr int32_t kResizeHalf = 1 << (kResizeWeightBits - 1);

// `sum` begins with kResizeHalf. It fits in 32 bits: 255 * 2^22 and a little, for the weights are
// at least 0.
uint8_t resized_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kResizeWeightBits, 0, 255));
}

}  // namespace

// Pillow's precomputed coefficients: triangle filter of radius max(scale, 1).
ResizeTaps::ResizeTaps(int64_t in_size, int64_t out_size) {
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
}

void resize_bilinear(const Image& image, const CropBox& box, int64_t height, int64_t width,
                     uint8_t* pixels) {
  check_inside(box, image.height, image.width);
  const ResizeTaps rows(box.height, height), columns(box.width, width);
  const int64_t pitch = width * 3;
  std::vector<uint8_t> narrowed(box.height * pitch);
  for (int64_t y = 0; y < box.height; ++y) {
    const uint8_t* in = &image.pixels[((box.top + y) * image.width + box.left) * 3];
    uint8_t* __restrict out = &narrowed[y * pitch];
    for (int64_t x = 0; x < width; ++x) {
      int32_t sum[3] = {kResizeHalf, kResizeHalf, kResizeHalf};
      const ResizeTaps::Tap tap = columns.taps[x];
      const uint8_t* at = in + int64_t{tap.first} * 3;
      for (int32_t i = 0; i < tap.count; ++i) {
        const int32_t weight = columns.weights[tap.weight + i];
        for (int c = 0; c < 3; ++c) sum[c] += weight * at[c];
        at += 3;
      }
      for (int c = 0; c < 3; ++c) out[x * 3 + c] = resized_byte(sum[c]);
    }
  }
  std::vector<int32_t> sums(pitch);
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kResizeHalf);
    const ResizeTaps::Tap tap = rows.taps[y];
    const uint8_t* in = &narrowed[tap.first * pitch];
    for (int32_t i = 0; i < tap.count; ++i) {
      const int32_t weight = rows.weights[tap.weight + i];
      for (int64_t x = 0; x < pitch; ++x) sums[x] += weight * in[x];
      in += pitch;
    }
    uint8_t* __restrict out = pixels + y * pitch;
    for (int64_t x = 0; x < pitch; ++x) out[x] = resized_byte(sums[x]);
  }
}

}  // namespace basin::data
