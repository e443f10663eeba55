// Calls on flat arrays: fill, add, scale, column sums, interpolation, distances per segment, noise.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// y[i] = value
template <class T>
struct Fill {
  static constexpr const char* kName = "fill";
  T* y;
  T value;
  int64_t size;
  double flops() const { return 0; }
  double bytes() const { return count(sizeof(T), size); }
};

// y[i] = a[i] + b[i]
template <class T>
struct Add {
  static constexpr const char* kName = "add";
  const T *a, *b;
  T* y;
  int64_t size;
  double flops() const { return count(size); }
  double bytes() const { return count(3, sizeof(T), size); }
};

// y[i] (+)= factor * x[i]; `factor` points to one element, null: 1
template <class T>
struct Scale {
  static constexpr const char* kName = "scale";
  const T *x, *factor = nullptr;
  Gradient<T> y;
  int64_t size;
  double flops() const { return count(size); }
  double bytes() const { return count(1 + y.passes(), sizeof(T), size); }
};

// y[row, c] = [relu](x[row, c] + bias[c] [+ residual[row, c]]); in place when y == x
template <class T>
struct AddBias {
  static constexpr const char* kName = "add_bias";
  const T *x, *bias;
  T* y;
  int64_t rows, columns;
  const T* residual = nullptr;
  bool relu = false;
  double flops() const { return count(rows, columns); }
  double bytes() const { return count(residual ? 3 : 2, sizeof(T), rows, columns); }
};

// y[c] (+)= sum over rows of x[row, c]; in row order, in double
template <class T>
struct ColumnSum {
  static constexpr const char* kName = "column_sum";
  const T* x;
  Gradient<ParameterType<T>> y;
  int64_t rows, columns;
  double flops() const { return count(rows, columns); }
  double bytes() const { return count(sizeof(T), rows, columns); }
};

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
