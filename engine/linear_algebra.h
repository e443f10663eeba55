// Matrix computations of the analyses: Gram matrices of features, singular values of weights.
#pragma once

#include <vector>

#include "engine/tape.h"
#include "engine/tensor.h"

namespace basin {

// Inner products between the images of a batch: x [N, ...] f32, the other dimensions taken as one,
// of which the mean over the images is subtracted first. [N, N], row-major. Products in float.
std::vector<double> image_gram(Tape& tape, const Tensor& x);

// Inner products between the channels of x [..., C] f32, each channel the vector of its values at
// all other places, from which the mean over the channels is subtracted first. [C, C], row-major.
// Products in float over at most 8192 places, those sums added in double.
std::vector<double> channel_gram(Tape& tape, const Tensor& x);

// The singular values, descending, of x [rows, columns], row-major: min(rows, columns) values,
// computed in double on the CPU. Throws Error when x holds a value that is not finite. May be
// called from several threads.
std::vector<double> singular_values(const std::vector<float>& x, int64_t rows);

}  // namespace basin
