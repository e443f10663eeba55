// Whether there is a GPU to test on.
#pragma once

#include <cstdio>
#include <string>

#include "kernels/device/cuda.h"

namespace basin::test {

// false: there is none, and CTest counts the test as skipped.
inline bool gpu_at_hand() {
  std::string why_none;
  if (cuda::device_count(&why_none) > 0) return true;
  std::printf("SKIPPED: it needs a GPU: %s\n", why_none.c_str());
  return false;
}

}  // namespace basin::test
