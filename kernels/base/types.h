// Element types of the kernels.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/base/host_device.h"

namespace basin {

// The type in which parameters, statistics and scalars of a kernel on T are kept: double for
// double, which the gradient checks use, else float.
template <class T>
using ParameterType = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The product of the factors, for flops() and bytes() of calls.
template <class... Factors>
constexpr double count(Factors... factors) {
  return static_cast<double>((int64_t{1} * ... * static_cast<int64_t>(factors)));
}

// Where a backward call writes a gradient: null where nobody wants it, and whether to add to what
// is there instead of writing it.
template <class T>
struct Gradient {
  T* to = nullptr;
  bool accumulate = false;
  // How often its memory is read or written.
  constexpr int passes() const { return to ? (accumulate ? 2 : 1) : 0; }
  // Element i, from a sum in double.
  BASIN_HOST_DEVICE void store(int64_t i, double sum) const {
    if (to) to[i] = static_cast<T>(accumulate ? to[i] + sum : sum);
  }
};

}  // namespace basin
