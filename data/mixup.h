// Mixup (Zhang et al., 2018) as the paper's code does it: one share for a whole batch. The
// device mixes (kernels/augment).
#pragma once

#include "kernels/base/random.h"

namespace basin::data {

// A draw from Beta(a, b), a > 0 and b > 0, in [0, 1].
double draw_beta(double a, double b, RandomStream& random);

}  // namespace basin::data
