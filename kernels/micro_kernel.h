// The inner block of every matrix product and convolution on the CPU: a few rows of scalars times a
// packed panel of vectors, held in registers. Written on GCC's vector extension, so that the same
// source compiles to SSE, AVX2 and AVX-512.
#pragma once

#include <algorithm>
#include <cstdint>

namespace basin::cpu {

#if defined(__AVX512F__)
inline constexpr int kVectorWidth = 16;
inline constexpr int kBlockRows = 12;  // 24 of 32 registers hold sums
#elif defined(__AVX__)
inline constexpr int kVectorWidth = 8;
inline constexpr int kBlockRows = 6;  // 12 of 16 registers hold sums
#else
inline constexpr int kVectorWidth = 4;
inline constexpr int kBlockRows = 6;
#endif
inline constexpr int kPanelWidth = 2 * kVectorWidth;

typedef float FloatVector __attribute__((vector_size(kVectorWidth * sizeof(float))));
typedef float UnalignedFloatVector
    __attribute__((vector_size(kVectorWidth * sizeof(float)), aligned(4), may_alias));

inline FloatVector load(const float* from) {
  return *reinterpret_cast<const UnalignedFloatVector*>(from);
}
inline void store(float* to, FloatVector value) {
  *reinterpret_cast<UnalignedFloatVector*>(to) = value;
}

// A packed right-hand side [depth, columns] is a row of panels, each [depth][width]: width is
// kPanelWidth, or kVectorWidth for a last panel of so few columns; missing columns are zero.
inline int64_t panel_width(int64_t columns_left) {
  return columns_left > kVectorWidth ? kPanelWidth : kVectorWidth;
}
inline int64_t packed_columns(int64_t columns) {
  return (columns + kVectorWidth - 1) / kVectorWidth * kVectorWidth;
}

// Packs a right-hand side whose element (k, j) is `at(k, j)`.
template <class At>
inline void pack_panels(int64_t depth, int64_t columns, const At& at, float* packed) {
  for (int64_t j0 = 0; j0 < columns; j0 += kPanelWidth) {
    const int64_t width = panel_width(columns - j0), used = std::min(width, columns - j0);
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t j = 0; j < used; ++j) packed[j] = at(k, j0 + j);
      for (int64_t j = used; j < width; ++j) packed[j] = 0;
      packed += width;
    }
  }
}

// Packs `rows` rows of a left-hand side whose element (i, k) is `at(i, k)` into groups of
// kBlockRows, each [depth][kBlockRows].
template <class At>
inline void pack_interleaved(int64_t rows, int64_t depth, const At& at, float* packed) {
  for (int64_t i0 = 0; i0 < rows; i0 += kBlockRows) {
    const int64_t used = std::min<int64_t>(kBlockRows, rows - i0);
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t i = 0; i < used; ++i) packed[i] = at(i0 + i, k);
      for (int64_t i = used; i < kBlockRows; ++i) packed[i] = 0;
      packed += kBlockRows;
    }
  }
}

// out[i][0..columns) (+)= sum over k < depth of a(i, k) * panel[k][0..columns), for kRows rows;
// a(i, k) is a[i][k], or a[0][k * kBlockRows + i] where the rows are interleaved.
template <int kRows, int kVectors, bool kInterleaved>
inline void multiply_block(const float* const* a, int64_t depth, const float* panel,
                           float* const* out, int64_t first_column, int64_t columns,
                           bool accumulate) {
  const float* row[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) row[i] = a[kInterleaved ? 0 : i];
  FloatVector sum[kRows][kVectors] = {};
  for (int64_t k = 0; k < depth; ++k) {
    FloatVector b[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) b[v] = load(panel + v * kVectorWidth);
    panel += kVectors * kVectorWidth;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const float x = kInterleaved ? row[0][k * kBlockRows + i] : row[i][k];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[i][v] += x * b[v];
    }
  }
  if (columns == kVectors * kVectorWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      float* to = out[i] + first_column;
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        store(to + v * kVectorWidth,
              accumulate ? load(to + v * kVectorWidth) + sum[i][v] : sum[i][v]);
      }
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      float* to = out[i] + first_column;
      float values[kVectors * kVectorWidth];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) store(values + v * kVectorWidth, sum[i][v]);
      for (int64_t j = 0; j < columns; ++j) to[j] = accumulate ? to[j] + values[j] : values[j];
    }
  }
}

template <int kRows, int kVectors, bool kInterleaved>
void multiply_up_to(int64_t rows, const float* const* a, int64_t depth, const float* panel,
                    float* const* out, int64_t first_column, int64_t columns, bool accumulate) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return multiply_up_to<kRows - 1, kVectors, kInterleaved>(rows, a, depth, panel, out,
                                                               first_column, columns, accumulate);
    }
  }
  multiply_block<kRows, kVectors, kInterleaved>(a, depth, panel, out, first_column, columns,
                                                accumulate);
}

// out[i][0..columns) (+)= a(i, 0..depth) * panels, for `rows` rows on one thread. `packed` holds
// panels of `packed_depth` rows, of which rows first .. first + depth take part. With interleaved
// rows, a[i] for i a multiple of kBlockRows is the start of a group; the other entries are unused.
template <bool kInterleaved>
inline void multiply_panels(int64_t rows, const float* const* a, int64_t depth, const float* packed,
                            int64_t packed_depth, int64_t first, int64_t columns, float* const* out,
                            bool accumulate) {
  for (int64_t j = 0; j < columns; j += kPanelWidth) {
    const int64_t width = panel_width(columns - j), used = std::min(width, columns - j);
    const float* panel = packed + j * packed_depth + first * width;
    for (int64_t i = 0; i < rows; i += kBlockRows) {
      const int64_t count = std::min<int64_t>(kBlockRows, rows - i);
      if (width == kPanelWidth) {
        multiply_up_to<kBlockRows, 2, kInterleaved>(count, a + i, depth, panel, out + i, j, used,
                                                    accumulate);
      } else {
        multiply_up_to<kBlockRows, 1, kInterleaved>(count, a + i, depth, panel, out + i, j, used,
                                                    accumulate);
      }
    }
  }
}

}  // namespace basin::cpu
