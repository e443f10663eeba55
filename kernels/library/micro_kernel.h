// The inner block of every matrix product and convolution on the CPU: a few rows of scalars times a
// packed panel of vectors, held in registers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/library/float_vector.h"

namespace basin::cpu {

// Registers of a block hold its sums: 24 of 32 with AVX-512, else 12 of 16.
inline constexpr int kBlockRows = kVectorWidth == 16 ? 12 : 6;
inline constexpr int kPanelWidth = 2 * kVectorWidth;

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

// Packs the transpose of `columns` stored rows of `depth` values, `step` apart: element (k, j) is
// from[j * step + k].
inline void pack_panels_from_columns(int64_t depth, int64_t columns, const float* from,
                                     int64_t step, float* packed) {
  int64_t j = 0;
  for (; j + kPanelWidth <= columns; j += kPanelWidth) {
    int64_t k = 0;
    for (; k + kVectorWidth <= depth; k += kVectorWidth) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        FloatVector square[kVectorWidth];
#pragma GCC unroll 16
        for (int i = 0; i < kVectorWidth; ++i) {
          square[i] = load(from + (j + v * kVectorWidth + i) * step + k);
        }
        transpose_square(square);
#pragma GCC unroll 16
        for (int i = 0; i < kVectorWidth; ++i) {
          store(packed + i * kPanelWidth + v * kVectorWidth, square[i]);
        }
      }
      packed += kVectorWidth * kPanelWidth;
    }
    for (; k < depth; ++k) {
      for (int64_t i = 0; i < kPanelWidth; ++i) packed[i] = from[(j + i) * step + k];
      packed += kPanelWidth;
    }
  }
  pack_panels(
      depth, columns - j, [&](int64_t k, int64_t i) { return from[(j + i) * step + k]; }, packed);
}

// Packs the transpose of `depth` stored rows of `rows` values, `row_at(k)` the address of row k, as
// a left-hand side of `rows` rows: groups of kBlockRows, each [depth][kBlockRows]. A few stored
// rows at a time, so that memory is read nearly in order.
template <class RowAt>
inline void pack_interleaved(int64_t rows, int64_t depth, const RowAt& row_at, float* packed) {
  constexpr int64_t kTogether = 8;
  for (int64_t first = 0; first < depth; first += kTogether) {
    const int64_t end = std::min(depth, first + kTogether);
    for (int64_t i0 = 0; i0 < rows; i0 += kBlockRows) {
      const int64_t used = std::min<int64_t>(kBlockRows, rows - i0);
      float* to = packed + i0 * depth + first * kBlockRows;
      for (int64_t k = first; k < end; ++k, to += kBlockRows) {
        const float* from = row_at(k) + i0;
        if (used == kBlockRows) {
          std::memcpy(to, from, kBlockRows * sizeof(float));
        } else {
          for (int64_t i = 0; i < used; ++i) to[i] = from[i];
          for (int64_t i = used; i < kBlockRows; ++i) to[i] = 0;
        }
      }
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

// out[i][0..columns) (+)= a(i, :) * panels, for `rows` rows on one thread. `packed` holds panels of
// `packed_depth` rows, of which those from `first` on take part.
template <bool kTransposed>
void multiply_panels(int64_t rows, const LeftRows& a, const float* packed, int64_t packed_depth,
                     int64_t first, int64_t columns, float* const* out, bool accumulate);

}  // namespace basin::cpu
