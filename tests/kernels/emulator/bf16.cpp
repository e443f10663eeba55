// bfloat16 against its definition, and against the CUDA toolkit's conversions where there is one.
#include "kernels/base/bf16.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#ifdef BASIN_HAS_CUDA_BF16
// bf16_toolkit.cu
uint16_t toolkit_to_bf16(float value);
float toolkit_to_float(uint16_t bits);
#endif

using namespace basin;

namespace {

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Calls check(bits) for every sign, exponent and mantissa of bfloat16 with the lower halves of a
// float at which rounding changes.
template <class Check>
void for_all_roundings(const Check& check) {
  const uint32_t lower_halves[] = {0,      1,      2,      0x1234, 0x7FFE, 0x7FFF,
                                   0x8000, 0x8001, 0x8002, 0xABCD, 0xFFFE, 0xFFFF};
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (uint32_t lower : lower_halves) check(upper << 16 | lower);
  }
}

}  // namespace

TEST_CASE("bfloat16 is the upper half of a float") {
  int wrong = 0;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = to_float(Bf16{static_cast<uint16_t>(bits)}), want = float_of(bits << 16);
    wrong += std::memcmp(&value, &want, sizeof(value)) != 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("rounding takes the nearer neighbour, on a tie the even one, and keeps NaN") {
  int64_t wrong = 0;
  for_all_roundings([&](uint32_t bits) {
    const float value = float_of(bits);
    const Bf16 rounded = to_bf16(value);
    if (std::isnan(value)) {
      wrong += rounded.bits != 0x7FFF;
      return;
    }
    // Between the neighbours below and above in magnitude, by exact distances.
    const uint32_t below = bits >> 16, above = below + 1;
    const double distance_below = std::abs(double(value) - double(float_of(below << 16)));
    // Past the largest number counts the next step of the grid, where infinity is.
    const double next = (above & 0x7FFF) == 0x7F80 ? std::copysign(0x1p128, double(value))
                                                   : double(float_of(above << 16));
    const double distance_above = std::abs(next - double(value));
    uint32_t want = distance_below < distance_above ? below : above;
    if (distance_below == distance_above) want = below % 2 == 0 ? below : above;
    if (std::isinf(value)) want = below;
    wrong += rounded.bits != want;
  });
  CHECK(wrong == 0);
}

TEST_CASE("bfloat16 is converted as the CUDA toolkit does it") {
#ifdef BASIN_HAS_CUDA_BF16
  int64_t wrong = 0;
  for_all_roundings([&](uint32_t bits) {
    wrong += to_bf16(float_of(bits)).bits != toolkit_to_bf16(float_of(bits));
  });
  CHECK(wrong == 0);
  for (uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float got = to_float(Bf16{bits}), want = toolkit_to_float(bits);
    wrong += std::memcmp(&got, &want, sizeof(got)) != 0;
  }
  CHECK(wrong == 0);
#else
  MESSAGE("SKIPPED: no CUDA toolkit");
#endif
}
