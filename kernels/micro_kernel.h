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

// Packs a right-hand side stored as rows of `columns` values, `step` apart.
inline void pack_panels_from_rows(int64_t depth, int64_t columns, const float* from, int64_t step,
                                  float* packed) {
  int64_t j = 0;
  for (; j + kPanelWidth <= columns; j += kPanelWidth) {
    for (int64_t k = 0; k < depth; ++k) {
      store(packed, load(from + k * step + j));
      store(packed + kVectorWidth, load(from + k * step + j + kVectorWidth));
      packed += kPanelWidth;
    }
  }
  pack_panels(
      depth, columns - j, [&](int64_t k, int64_t i) { return from[k * step + j + i]; }, packed);
}

// Packs the transpose of `depth` stored rows of `rows` values, `row_at(k)` the address of row k, as
// a left-hand side of `rows` rows: groups of kBlockRows, each [depth][kBlockRows].
template <class RowAt>
inline void pack_interleaved(int64_t rows, int64_t depth, const RowAt& row_at, float* packed) {
  // Whole vectors as long as the row has them: what they bring beyond the group is overwritten.
  constexpr int kVectors = (kBlockRows + kVectorWidth - 1) / kVectorWidth;
  int64_t i0 = 0;
  for (; i0 + kVectors * kVectorWidth <= rows; i0 += kBlockRows) {
    for (int64_t k = 0; k < depth; ++k) {
      const float* from = row_at(k) + i0;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        store(packed + v * kVectorWidth, load(from + v * kVectorWidth));
      }
      packed += kBlockRows;
    }
  }
  for (; i0 < rows; i0 += kBlockRows) {
    const int64_t used = std::min<int64_t>(kBlockRows, rows - i0);
    for (int64_t k = 0; k < depth; ++k) {
      const float* from = row_at(k) + i0;
      for (int64_t i = 0; i < used; ++i) packed[i] = from[i];
      for (int64_t i = used; i < kBlockRows; ++i) packed[i] = 0;
      packed += kBlockRows;
    }
  }
}

// What multiply_panels() reads on the left: row i is `runs` runs of `depth` values; the first
// begins at start[i] + offset, each next one `pitch` further. Transposed, value k of the row i
// places after `first`, a multiple of kBlockRows, is start[first][offset + k * pitch + i], and runs
// is 1.
struct LeftRows {
  const float* const* start;
  int64_t offset, depth, runs, pitch;
};

// out[i][0..columns) (+)= sum over k of a(i, k) * panel[k][0..columns), for kRows rows from row
// `first_row` on.
template <int kRows, int kVectors, bool kTransposed>
inline void multiply_block(const LeftRows& a, int64_t first_row, const float* panel,
                           float* const* out, int64_t first_column, int64_t columns,
                           bool accumulate) {
  const float* row[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) row[i] = a.start[first_row + (kTransposed ? 0 : i)] + a.offset;
  FloatVector sum[kRows][kVectors] = {};
  for (int64_t run = 0; run < a.runs; ++run) {
    const int64_t depth = a.depth, pitch = a.pitch;
    for (int64_t k = 0; k < depth; ++k) {
      FloatVector b[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) b[v] = load(panel + v * kVectorWidth);
      panel += kVectors * kVectorWidth;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const float x = kTransposed ? row[0][k * pitch + i] : row[i][k];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sum[i][v] += x * b[v];
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) row[i] += a.pitch;
  }
  out += first_row;
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

template <int kRows, int kVectors, bool kTransposed>
void multiply_up_to(int64_t rows, const LeftRows& a, int64_t first_row, const float* panel,
                    float* const* out, int64_t first_column, int64_t columns, bool accumulate) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return multiply_up_to<kRows - 1, kVectors, kTransposed>(rows, a, first_row, panel, out,
                                                              first_column, columns, accumulate);
    }
  }
  multiply_block<kRows, kVectors, kTransposed>(a, first_row, panel, out, first_column, columns,
                                               accumulate);
}

// out[i][0..columns) (+)= a(i, :) * panels, for `rows` rows on one thread. `packed` holds panels of
// `packed_depth` rows, of which those from `first` on take part.
template <bool kTransposed>
inline void multiply_panels(int64_t rows, const LeftRows& a, const float* packed,
                            int64_t packed_depth, int64_t first, int64_t columns, float* const* out,
                            bool accumulate) {
  for (int64_t j = 0; j < columns; j += kPanelWidth) {
    const int64_t width = panel_width(columns - j), used = std::min(width, columns - j);
    const float* panel = packed + j * packed_depth + first * width;
    for (int64_t i = 0; i < rows; i += kBlockRows) {
      const int64_t count = std::min<int64_t>(kBlockRows, rows - i);
      if (width == kPanelWidth) {
        multiply_up_to<kBlockRows, 2, kTransposed>(count, a, i, panel, out, j, used, accumulate);
      } else {
        multiply_up_to<kBlockRows, 1, kTransposed>(count, a, i, panel, out, j, used, accumulate);
      }
    }
  }
}

}  // namespace basin::cpu
