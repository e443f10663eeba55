// Vectors of floats on the CPU, by GCC's vector extension, so that the same source compiles to SSE,
// AVX and AVX-512.
#pragma once

namespace basin::cpu {

#if defined(__AVX512F__)
inline constexpr int kVectorWidth = 16;
#elif defined(__AVX__)
inline constexpr int kVectorWidth = 8;
#else
inline constexpr int kVectorWidth = 4;
#endif

typedef float FloatVector __attribute__((vector_size(kVectorWidth * sizeof(float))));
typedef float UnalignedFloatVector
    __attribute__((vector_size(kVectorWidth * sizeof(float)), aligned(4), may_alias));

inline FloatVector load(const float* from) {
  return *reinterpret_cast<const UnalignedFloatVector*>(from);
}
inline void store(float* to, FloatVector value) {
  *reinterpret_cast<UnalignedFloatVector*>(to) = value;
}

// Exchanges lanes and vectors of a square of kVectorWidth vectors.
inline void transpose_square(FloatVector* square) {
  typedef int IntVector __attribute__((vector_size(kVectorWidth * sizeof(int))));
#pragma GCC unroll 4
  for (int half = 1; half < kVectorWidth; half *= 2) {
    IntVector low, high;  // lanes of the pair (a, b): b counts on from a
    for (int lane = 0; lane < kVectorWidth; ++lane) {
      low[lane] = (lane & half) ? kVectorWidth + lane - half : lane;
      high[lane] = (lane & half) ? kVectorWidth + lane : lane + half;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kVectorWidth; ++i) {
      if (i & half) continue;
      const FloatVector a = square[i], b = square[i + half];
      square[i] = __builtin_shuffle(a, b, low);
      square[i + half] = __builtin_shuffle(a, b, high);
    }
  }
}

}  // namespace basin::cpu
