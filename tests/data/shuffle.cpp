// Permutations against NumPy's, shuffles as bijections, and mixup.
#include "data/shuffle.h"

#include <algorithm>
#include <cmath>

#include "data/mixup.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

bool is_permutation_of_positions(std::vector<uint32_t> map) {
  std::sort(map.begin(), map.end());
  for (size_t i = 0; i < map.size(); ++i) {
    if (map[i] != i) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("permutations are those of NumPy's RandomState") {
  // Printed by NumPy 2.4.6: RandomState(seed).permutation(size).
  CHECK(numpy_permutation(1234, 16) ==
        std::vector<uint32_t>{13, 11, 0, 12, 14, 2, 10, 7, 1, 9, 8, 4, 5, 6, 3, 15});
  CHECK(numpy_permutation(1235, 9) == std::vector<uint32_t>{4, 7, 5, 0, 1, 6, 3, 8, 2});
  CHECK(numpy_permutation(0, 64) ==
        std::vector<uint32_t>{45, 29, 43, 61, 34, 33, 31, 40, 26, 62, 22, 2,  11, 28, 54, 4,
                              10, 35, 52, 46, 30, 7,  14, 27, 63, 55, 41, 42, 58, 18, 60, 32,
                              15, 5,  16, 20, 56, 8,  13, 25, 37, 17, 48, 51, 57, 38, 1,  12,
                              49, 24, 6,  23, 36, 50, 21, 19, 9,  39, 59, 3,  0,  53, 47, 44});
  CHECK(numpy_permutation(4294967295, 7) == std::vector<uint32_t>{1, 5, 0, 6, 4, 2, 3});
  const auto large = numpy_permutation(1236, 150528);
  CHECK(std::vector<uint32_t>(large.begin(), large.begin() + 8) ==
        std::vector<uint32_t>{75152, 77334, 140633, 71480, 15009, 44068, 139475, 32885});
  CHECK(std::vector<uint32_t>(large.end() - 4, large.end()) ==
        std::vector<uint32_t>{14876, 63313, 45387, 13859});
  uint64_t weighted = 0;
  for (size_t i = 0; i < large.size(); ++i) weighted += i * large[i];
  CHECK(weighted == 852395518195938u);
}

TEST_CASE("block shuffle moves whole blocks by NumPy's permutation") {
  constexpr int64_t kSide = 12;
  for (const int64_t block : {1, 2, 3, 4, 6, 12}) {
    CAPTURE(block);
    const auto map = block_shuffle_map(kSide, kSide, block, 1234);
    CHECK(is_permutation_of_positions(map));
    const int64_t columns = kSide / block;
    const auto permutation = numpy_permutation(1234, columns * columns);
    for (int64_t j = 0; j < columns * columns; ++j) {
      const int64_t from = permutation[j];
      for (int64_t y = 0; y < block; ++y) {
        for (int64_t x = 0; x < block * 3; ++x) {
          const int64_t out = ((j / columns * block + y) * kSide + j % columns * block) * 3 + x;
          const int64_t in =
              ((from / columns * block + y) * kSide + from % columns * block) * 3 + x;
          REQUIRE(map[out] == in);
        }
      }
    }
  }
  const auto identity = block_shuffle_map(kSide, kSide, kSide, 1234);
  CHECK(std::is_sorted(identity.begin(), identity.end()));
  CHECK(contains(error_of([] { block_shuffle_map(12, 12, 5, 0); }), "block size 5"));
}

TEST_CASE("pixel shuffle permutes all values, numbered channel by channel") {
  const auto map = pixel_shuffle_map(4, 6, 7);
  CHECK(is_permutation_of_positions(map));
  const auto permutation = numpy_permutation(7, 72);
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t p = 0; p < 24; ++p) {
      const int64_t from = permutation[c * 24 + p];
      CHECK(map[p * 3 + c] == from % 24 * 3 + from / 24);
    }
  }
}

TEST_CASE("Beta draws have the moments of the distribution") {
  const struct { double a, b; } cases[] = {{0.7, 0.7}, {0.2, 0.2}, {1, 1}, {2, 5}};
  for (const auto& c : cases) {
    CAPTURE(c.a);
    CAPTURE(c.b);
    constexpr int kDraws = 200000;
    double sum = 0, squares = 0;
    RandomStream random(5, RandomPurpose::kMixup);
    const double mean = c.a / (c.a + c.b);
    for (int i = 0; i < kDraws; ++i) {
      const double draw = draw_beta(c.a, c.b, random);
      REQUIRE(draw >= 0);
      REQUIRE(draw <= 1);
      sum += draw - mean;
      squares += (draw - mean) * (draw - mean);
    }
    const double variance = mean * (1 - mean) / (c.a + c.b + 1);
    CHECK(std::abs(sum / kDraws) < 4.5 * std::sqrt(variance / kDraws));
    // The fourth moment of a deviation below 1 is at most the second.
    CHECK(std::abs(squares / kDraws - variance) < 4.5 * std::sqrt(variance / kDraws));
  }
  RandomStream random(5, RandomPurpose::kMixup);
  for (int i = 0; i < 1000; ++i) {  // draws of Gamma(0.001) underflow; their share must not be NaN
    const double draw = draw_beta(0.001, 0.001, random);
    REQUIRE(draw >= 0);
    REQUIRE(draw <= 1);
  }
}
