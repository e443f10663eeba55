// What the tests of convolutions say of a shape.
#pragma once

#include <string>

#include "kernels/conv2d/call.h"

namespace basin::test {

// "batch x height x width x channels -> out, kernel / stride + padding"
inline std::string name(const Conv2dShape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.height) + "x" + std::to_string(s.width) +
         "x" + std::to_string(s.in_channels) + " -> " + std::to_string(s.out_channels) + ", " +
         std::to_string(s.kernel_height) + "x" + std::to_string(s.kernel_width) + "/" +
         std::to_string(s.stride) + "+" + std::to_string(s.padding);
}

}  // namespace basin::test
