// The weights of resize_bilinear() (data/image/image.h).
#pragma once

#include <cstdint>
#include <vector>

namespace basin::data {

constexpr int kResizeWeightBits = 22;

// A resize from one size to another, in one direction.
struct ResizeTaps {
  // One output position: the sum over i < count of weights[weight + i] * in[first + i].
  struct Tap {
    int32_t first, count, weight;
  };
  std::vector<Tap> taps;
  std::vector<int32_t> weights;  // those of one output position sum to about 2^22

  // Both sizes are at least 1.
  ResizeTaps(int64_t in_size, int64_t out_size);
};

}  // namespace basin::data
