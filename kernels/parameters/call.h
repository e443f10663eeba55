// Calls on all parameters of a network at once: interpolation, distances, noise.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// y[i] = (1-t)*a[i] + t*b[i]; y = a exactly at t = 0 and y = b exactly at t = 1, and a exactly
// where a == b
template <class T>
struct Lerp {
  static constexpr const char* kName = "lerp";
  const T *a, *b;
  T* y;
  double t;
  int64_t size;
  double flops() const { return count(3, size); }
  double bytes() const { return count(3, sizeof(T), size); }
};

// A part of a flat array, in elements.
struct Segment {
  int64_t offset, size;
};

// sums[s] = sum over segment s of (a[i] - b[i])^2, b null: of a[i]^2; in double, in order
template <class T>
struct SegmentedSquaredDistance {
  static constexpr const char* kName = "segmented_squared_distance";
  const T *a, *b;
  const Segment* segments;
  double* sums;
  int64_t segment_count;
  int64_t size;  // elements in all segments
  double flops() const { return count(3, size); }
  double bytes() const { return count(b ? 2 : 1, sizeof(T), size); }
};

// y[i] += sigma * z_i with z_i ~ N(0, 1) from Philox(seed, purpose kNoise, epoch = draw, sample =
// offset + i): the noise of an element depends on its place alone, not on the range that is
// perturbed.
template <class T>
struct AddNoise {
  static constexpr const char* kName = "add_noise";
  T* y;
  double sigma;
  uint64_t seed;
  uint32_t draw;
  int64_t offset, size;
  double flops() const { return count(2, size); }
  double bytes() const { return count(2, sizeof(T), size); }
};

}  // namespace basin
