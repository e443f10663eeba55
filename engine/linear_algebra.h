// Matrix computations of the analyses: Gram matrices of features and how alike two of them are,
// singular values of weights.
#pragma once

#include <vector>

#include "engine/tape.h"
#include "engine/tensor.h"

namespace basin {

// Inner products between the images of a batch: x [N, ...], the other dimensions taken as one,
// of which the mean over the images is subtracted first. [N, N] f64, in memory of the tape's
// device. Products in float, their sums as kernels/hsic/call.h says.
Tensor image_gram(Tape& tape, const Tensor& x);

// Inner products between the channels of x [..., C] f32, each channel the vector of its values at
// all other places, from which the mean over the channels is subtracted first. [C, C], row-major.
// Products in float over at most 8192 places, those sums added in double.
std::vector<double> channel_gram(Tape& tape, const Tensor& x);

// The unbiased estimates of the Hilbert-Schmidt independence criterion, HSIC_1 of Nguyen, Raghu,
// Kornblith, "Do wide and deep networks learn the same things?" (ICLR 2021), of two symmetric Gram
// matrices k, l [n, n], n >= 4: of k and l, of k with itself, of l with itself. Diagonals do not
// matter. The expectation for unrelated features is 0, so a value may be negative.
struct HsicValues {
  double kl, kk, ll;
};
HsicValues unbiased_hsic(Tape& tape, const Tensor& k, const Tensor& l);  // f64
HsicValues unbiased_hsic(const std::vector<double>& k, const std::vector<double>& l, int64_t n);

// The singular values, descending, of x [rows, columns], row-major: min(rows, columns) values,
// computed in double on the CPU. Throws Error when x holds a value that is not finite. May be
// called from several threads.
std::vector<double> singular_values(const std::vector<float>& x, int64_t rows);

}  // namespace basin
