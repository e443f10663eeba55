// The call that turns numbers of one storage type into another.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// y[i] (+)= x[i], rounded to To; a sum is rounded once. On GPUs: between float and Bf16.
template <class From, class To>
struct Convert {
  static constexpr const char* kName = "convert";
  const From* x;
  Gradient<To> y;
  int64_t size;
  double flops() const { return count(y.accumulate ? 1 : 0, size); }
  double bytes() const { return count(size, sizeof(From) + y.passes() * sizeof(To)); }
};

}  // namespace basin
