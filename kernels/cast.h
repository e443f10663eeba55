// The call that copies a flat array, from one element type to another or within one.
#pragma once

#include <cstdint>

#include "kernels/bf16.h"

namespace basin {

// y[i] = x[i], rounded to nearest even where To is narrower than From.
template <class From, class To>
struct Cast {
  static constexpr const char* kName = "cast";
  const From* x;
  To* y;
  int64_t size;
  double flops() const { return 0; }
  double bytes() const {
    return static_cast<double>(sizeof(From) + sizeof(To)) * static_cast<double>(size);
  }
};

namespace cpu {
template <class From, class To>
void run(const Cast<From, To>&);
}

}  // namespace basin
