// Arrays of bfloat16 to float and back, for the emulated device, which computes in float what
// NVIDIA's libraries compute on a GPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/base/bf16.h"

namespace basin::emulated {

inline void widen(const Bf16* from, int64_t size, float* to) {
  std::transform(from, from + size, to, [](Bf16 value) { return to_float(value); });
}

inline void narrow(const float* from, int64_t size, Bf16* to) {
  std::transform(from, from + size, to, to_bf16);
}

}  // namespace basin::emulated
