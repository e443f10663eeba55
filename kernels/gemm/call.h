// The call of a matrix product, row-major: C[m, n] (+)= op(A) op(B).
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// op(A) is [m, k]: A itself, or the transpose of a stored [k, m]; op(B) is [k, n]: B itself, or the
// transpose of a stored [n, k]. All matrices are dense. C may overlap neither A nor B. With k = 0
// the product is zero. Sums are in float (of double: in double), and rounded once to Output.
template <class T, class Output = T>
struct Gemm {
  static constexpr const char* kName = "gemm";
  bool transpose_a = false, transpose_b = false;
  int64_t m, n, k;
  const T *a = nullptr, *b = nullptr;
  Output* c = nullptr;
  bool accumulate = false;  // add to C instead of writing it
  double flops() const { return count(2, m, n, k); }
  double bytes() const {
    return count(sizeof(T), m * k + k * n) + count(sizeof(Output), accumulate ? 2 : 1, m, n);
  }
};

}  // namespace basin
