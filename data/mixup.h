// Mixup (Zhang et al., 2018) as the paper's code does it: one share for a whole batch.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/random.h"

namespace basin::data {

// A draw from Beta(a, b), a > 0 and b > 0, in [0, 1].
double draw_beta(double a, double b, RandomStream& random);

// out[i] = share * in[i] + (1 - share) * in[partners[i]], for rows of `row_size` values; in and out
// do not overlap.
void mix_rows(const float* in, float* out, int64_t row_size, const std::vector<int32_t>& partners,
              float share);

}  // namespace basin::data
