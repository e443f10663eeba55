// The example of docs/kernels.md: a call of one's own.
#pragma once

#include <cstdint>

namespace basin::example {

// y[row] = sqrt(sum over columns of x[row, column]^2)
template <class T>
struct RowNorm {
  static constexpr const char* kName = "row_norm";
  const T* x;  // [rows, columns]
  float* y;    // [rows]
  int64_t rows, columns;
  double flops() const { return 2.0 * static_cast<double>(rows * columns); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * columns) +
           4.0 * static_cast<double>(rows);
  }
};

}  // namespace basin::example
