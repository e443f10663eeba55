// NumPy's permutations, and the shuffles made of them.
#include "data/shuffle.h"

#include <numeric>
#include <random>
#include <utility>

#include "kernels/base/check.h"

namespace basin::data {

std::vector<uint32_t> numpy_permutation(uint32_t seed, int64_t size) {
  BASIN_CHECK(size >= 1 && size <= int64_t{0xffffffff}, "permutation of ", size, " elements");
  // RandomState seeds MT19937 with an integer as std::mt19937 does, and shuffles from the end,
  // drawing each place by rejection under the smallest mask of ones that covers it.
  std::mt19937 random(seed);
  std::vector<uint32_t> permutation(size);
  std::iota(permutation.begin(), permutation.end(), 0u);
  for (auto last = static_cast<uint32_t>(size - 1); last > 0; --last) {
    uint32_t mask = last;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    uint32_t pick = static_cast<uint32_t>(random()) & mask;
    while (pick > last) pick = static_cast<uint32_t>(random()) & mask;
    std::swap(permutation[last], permutation[pick]);
  }
  return permutation;
}

std::vector<uint32_t> block_shuffle_map(int64_t height, int64_t width, int64_t block_size,
                                        uint32_t seed) {
  BASIN_CHECK(block_size >= 1 && height % block_size == 0 && width % block_size == 0, "block size ",
              block_size, " does not divide images of ", height, "x", width);
  const int64_t columns = width / block_size;
  const auto permutation = numpy_permutation(seed, height / block_size * columns);
  std::vector<uint32_t> map(height * width * 3);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t from = permutation[y / block_size * columns + x / block_size];
      const int64_t from_y = from / columns * block_size + y % block_size;
      const int64_t from_x = from % columns * block_size + x % block_size;
      for (int64_t c = 0; c < 3; ++c) {
        map[(y * width + x) * 3 + c] = static_cast<uint32_t>((from_y * width + from_x) * 3 + c);
      }
    }
  }
  return map;
}

std::vector<uint32_t> pixel_shuffle_map(int64_t height, int64_t width, uint32_t seed) {
  const int64_t plane = height * width;
  const auto permutation = numpy_permutation(seed, 3 * plane);
  const auto interleaved = [plane](int64_t planar) { return planar % plane * 3 + planar / plane; };
  std::vector<uint32_t> map(3 * plane);
  for (int64_t j = 0; j < 3 * plane; ++j) {
    map[interleaved(j)] = static_cast<uint32_t>(interleaved(permutation[j]));
  }
  return map;
}

}  // namespace basin::data
