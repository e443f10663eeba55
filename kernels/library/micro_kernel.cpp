// The inner block of matrix products: instantiated here, once, for it takes long to compile.
#include "kernels/library/micro_kernel.h"

namespace basin::cpu {
namespace {

// out[i][0..columns) (+)= sum over k of a(i, k) * panel[k][0..columns), for kRows rows from row
// `first_row` on. The rows that lie `ahead` bytes after them are fetched in passing.
template <int kRows, int kVectors, bool kTransposed>
inline void multiply_block(const LeftRows& a, int64_t first_row, const float* panel,
                           float* const* out, int64_t first_column, int64_t columns,
                           bool accumulate, uintptr_t ahead) {
  const float* row[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) row[i] = a.start[first_row + (kTransposed ? 0 : i)] + a.offset;
  out += first_row;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      __builtin_prefetch(out[i] + first_column + v * kVectorWidth, 1);
    }
  }
  FloatVector sum[kRows][kVectors] = {};
  for (int64_t run = 0; run < a.runs; ++run) {
    const int64_t depth = a.depth, pitch = a.pitch;
    constexpr int64_t kLine = 16;  // floats in a cache line
    for (int64_t first = 0; first < depth; first += kLine) {
      if (!kTransposed && ahead != 0) {
        const uintptr_t distance = ahead + static_cast<uintptr_t>(first) * sizeof(float);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          __builtin_prefetch(
              reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(row[i]) + distance), 0, 2);
        }
      }
      const int64_t end = std::min(depth, first + kLine);
      for (int64_t k = first; k < end; ++k) {
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
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) row[i] += a.pitch;
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

template <int kRows, int kVectors, bool kTransposed>
void multiply_up_to(int64_t rows, const LeftRows& a, int64_t first_row, const float* panel,
                    float* const* out, int64_t first_column, int64_t columns, bool accumulate,
                    uintptr_t ahead) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return multiply_up_to<kRows - 1, kVectors, kTransposed>(
          rows, a, first_row, panel, out, first_column, columns, accumulate, ahead);
    }
  }
  multiply_block<kRows, kVectors, kTransposed>(a, first_row, panel, out, first_column, columns,
                                               accumulate, ahead);
}

}  // namespace

template <bool kTransposed>
void multiply_panels(int64_t rows, const LeftRows& a, const float* packed, int64_t packed_depth,
                     int64_t first, int64_t columns, float* const* out, bool accumulate) {
  for (int64_t j = 0; j < columns; j += kPanelWidth) {
    const int64_t width = panel_width(columns - j), used = std::min(width, columns - j);
    const float* panel = packed + j * packed_depth + first * width;
    for (int64_t i = 0; i < rows; i += kBlockRows) {
      const int64_t count = std::min<int64_t>(kBlockRows, rows - i);
      // Rows are mostly at equal distances; where not, the wrong place is fetched, which is no
      // harm.
      const uintptr_t ahead = i + kBlockRows < rows
                                  ? reinterpret_cast<uintptr_t>(a.start[i + kBlockRows]) -
                                        reinterpret_cast<uintptr_t>(a.start[i])
                                  : 0;
      if (width == kPanelWidth) {
        multiply_up_to<kBlockRows, 2, kTransposed>(count, a, i, panel, out, j, used, accumulate,
                                                   ahead);
      } else {
        multiply_up_to<kBlockRows, 1, kTransposed>(count, a, i, panel, out, j, used, accumulate,
                                                   ahead);
      }
    }
  }
}

template void multiply_panels<false>(int64_t, const LeftRows&, const float*, int64_t, int64_t,
                                     int64_t, float* const*, bool);
template void multiply_panels<true>(int64_t, const LeftRows&, const float*, int64_t, int64_t,
                                    int64_t, float* const*, bool);

}  // namespace basin::cpu
