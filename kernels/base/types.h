// Element types of the kernels.
#pragma once

#include <type_traits>

namespace basin {

// The type in which parameters, statistics and scalars of a kernel on T are kept: double for
// double, which the gradient checks use, else float.
template <class T>
using ParameterType = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Where a backward call writes a gradient: null where nobody wants it, and whether to add to what
// is there instead of writing it.
template <class T>
struct Gradient {
  T* to = nullptr;
  bool accumulate = false;
};

}  // namespace basin
