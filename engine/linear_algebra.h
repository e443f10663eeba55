// Matrix computations of the analyses: Gram matrices of features, how alike two of them are, and
// singular values of weights.
#pragma once

#include <vector>

#include "engine/tape.h"
#include "engine/tensor.h"

namespace basin {

// Inner products between the images of a batch x [N, ...] f32, the other dimensions taken as one,
// after the mean over the images has been subtracted. [N, N], row-major. Products in float, their
// sums as kernels/gram/call.h says.
std::vector<double> image_gram(Tape& tape, const Tensor& x);

// Inner products between the channels of x [..., C] f32, a channel being the vector of its values
// at all places, after the mean over the channels has been subtracted. [C, C], row-major. Products
// in float over at most 8192 places, whose sums are added in double.
std::vector<double> channel_gram(Tape& tape, const Tensor& x);

// The unbiased estimates of the Hilbert-Schmidt independence criterion, HSIC_1 of Nguyen, Raghu,
// Kornblith, "Do wide and deep networks learn the same things?" (ICLR 2021), of two symmetric Gram
// matrices k, l [n, n], n >= 4: of k and l, of k with itself, of l with itself. Diagonals do not
// matter. The expectation for unrelated features is 0, so a value may be negative.
struct HsicValues {
  double kl, kk, ll;
};
HsicValues unbiased_hsic(const std::vector<double>& k, const std::vector<double>& l, int64_t n);

// The singular values, descending, of x [rows, columns], row-major: min(rows, columns) values,
// computed in double on the CPU. Throws Error when x holds a value that is not finite. Safe to call
// from several threads.
std::vector<double> singular_values(const std::vector<float>& x, int64_t rows);

}  // namespace basin
