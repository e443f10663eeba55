// The call of a matrix product, row-major: C[m, n] (+)= op(A) op(B).
#pragma once

#include <cstdint>

namespace basin {

// op(A) is [m, k]: A itself, or the transpose of a stored [k, m]; op(B) is [k, n]: B itself, or the
// transpose of a stored [n, k]. All matrices are dense. C may overlap neither A nor B. With k = 0
// the product is zero. Sums are in float (of double: in double), and rounded once to Output.
template <class T, class Output = T>
struct Gemm {
  static constexpr const char* kName = "gemm";
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  const T *a, *b;
  Output* c;
  bool accumulate;  // add to C instead of writing it
  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(m * k + k * n) +
           static_cast<double>(sizeof(Output)) * static_cast<double>((accumulate ? 2 : 1) * m * n);
  }
};

}  // namespace basin
