// Calls on flat arrays and matrices: fill, add, scale, add a bias, sum columns.
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

}  // namespace basin
