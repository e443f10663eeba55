// The call that turns numbers of one storage type into another.
#pragma once

#include <cstdint>

namespace basin {

// y[i] (+)= x[i], rounded to To; a sum is rounded once. On GPUs: between float and Bf16.
template <class From, class To>
struct Convert {
  static constexpr const char* kName = "convert";
  const From* x;
  To* y;
  bool accumulate;
  int64_t size;
  double flops() const { return accumulate ? static_cast<double>(size) : 0.0; }
  double bytes() const {
    return static_cast<double>(sizeof(From) + (accumulate ? 2 : 1) * sizeof(To)) *
           static_cast<double>(size);
  }
};

}  // namespace basin
