// bfloat16 as a storage type, the same on every device: the upper half of a float. Arithmetic is
// done in float.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/base/host_device.h"

namespace basin {

struct Bf16 {
  uint16_t bits;
};

// Exact.
BASIN_HOST_DEVICE inline float to_float(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  memcpy(&result, &bits, sizeof(result));
  return result;
}

// Rounds to nearest, ties to even; every NaN becomes 0x7FFF, as the CUDA toolkit does it.
BASIN_HOST_DEVICE inline Bf16 to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return Bf16{0x7FFF};
  // Half a unit in the last place, less one where the kept part is even: a tie then stays below.
  bits += 0x7FFFu + (bits >> 16 & 1u);
  return Bf16{static_cast<uint16_t>(bits >> 16)};
}

// The same conversions by type, for templates on the storage type.
BASIN_HOST_DEVICE inline float to_float(float value) {
  return value;
}
template <class T>
BASIN_HOST_DEVICE T from_float(float value);
template <>
BASIN_HOST_DEVICE inline float from_float<float>(float value) {
  return value;
}
template <>
BASIN_HOST_DEVICE inline double from_float<double>(float value) {
  return value;
}
template <>
BASIN_HOST_DEVICE inline Bf16 from_float<Bf16>(float value) {
  return to_bf16(value);
}

}  // namespace basin
