// The call that makes a Gram matrix.
#pragma once

#include <cstdint>

namespace basin {

// k[i, j] = sum over c of (x[i, c] + shift[c]) * (x[j, c] + shift[c]): inner products of the rows
// of x [rows, columns] after a shift, such as minus the mean of the rows. k [rows, rows] is
// symmetric to the bit. Products and short sums are in float, longer sums in more, and chunks of
// columns are added in double.
struct Gram {
  static constexpr const char* kName = "gram";
  const float *x, *shift;
  double* k;
  double* partials;  // at least partials_size() elements
  int64_t rows, columns;
  // Of a chunk, which depends on the shape alone: at most 64 chunks, of 1024 columns or more.
  constexpr int64_t chunk_columns() const {
    const int64_t least = (columns + 63) / 64;
    return least <= 1024 ? 1024 : (least + 15) / 16 * 16;
  }
  constexpr int64_t chunks() const { return (columns + chunk_columns() - 1) / chunk_columns(); }
  constexpr int64_t partials_size() const { return chunks() * rows * rows; }
  double flops() const {
    return static_cast<double>(rows) * static_cast<double>(rows + 1) * static_cast<double>(columns);
  }
  double bytes() const {
    return 4.0 * static_cast<double>(rows * columns) +
           8.0 * static_cast<double>(rows * rows) * (1 + 2 * static_cast<double>(chunks()));
  }
};

}  // namespace basin
