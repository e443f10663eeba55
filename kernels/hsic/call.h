// The calls of centred kernel alignment: Gram matrices, and the unbiased estimate of the
// Hilbert-Schmidt independence criterion (HSIC) of two of them. Sources: Kornblith et al.,
// "Similarity of neural network representations revisited" (ICML 2019); Nguyen, Raghu, Kornblith,
// "Do wide and deep networks learn the same things?" (ICLR 2021).
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// k[i, j] = sum over c of (x[i, c] + shift[c]) * (x[j, c] + shift[c]): inner products of the rows
// of x [rows, columns]. k [rows, rows] is symmetric to the bit. Products and the sums over a few of
// them are in T's arithmetic (float for bfloat16), longer sums in more, chunks in double.
template <class T>
struct Gram {
  static constexpr const char* kName = "gram";
  const T* x;
  const ParameterType<T>* shift;  // minus the mean of the rows, for one
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
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * columns) +
           8.0 * static_cast<double>(rows * rows) * (1 + 2 * static_cast<double>(chunks()));
  }
};

// What centring needs of a symmetric matrix k [size, size], whose diagonal counts as zero:
// sums[i] = sum of row i without the diagonal; largest[i] = the largest magnitude in row i,
// diagonal included.
struct GramSums {
  static constexpr const char* kName = "gram_sums";
  const double* k;
  double *sums, *largest;
  int64_t size;
  double flops() const { return static_cast<double>(size * size); }
  double bytes() const { return 8.0 * static_cast<double>(size * size); }
};

// HSIC_1 of k and l, of k and k, and of l and l, to hsic[0..2]; size >= 4. The inner product of the
// U-centred matrices, u_ij = k_ij - t_i - t_j off the diagonal with t_i = sums[i]/(n-2) - total/(2
// (n-1)(n-2)), over n(n-3): the expression of Nguyen et al. without its differences of large sums
// (Szekely, Rizzo, "Partial distance correlation with methods for dissimilarities", Annals of
// Statistics, 2014). A u_ij within 1e-12 of the largest magnitude is what rounding left and counts
// as 0: equal features would seem to vary.
struct Hsic {
  static constexpr const char* kName = "hsic";
  static constexpr double kRounding = 1e-12;
  const double *k, *l;
  const double *k_sums, *k_largest, *l_sums, *l_largest;  // of GramSums
  double* hsic;
  double* partials;  // 3 * size elements
  int64_t size;
  double flops() const { return 10.0 * static_cast<double>(size * size); }
  double bytes() const { return 16.0 * static_cast<double>(size * size); }
};

}  // namespace basin
