// Ranges by NVTX 3, headers alone: without a profiler a call costs a few nanoseconds.
#include <nvtx3/nvToolsExt.h>

#ifndef BASIN_CUDA
#define BASIN_CUDA  // this file is compiled for the CUDA device alone
#endif
#include "kernels/device/nvtx_ranges.h"

namespace basin::nvtx {

void push(const char* name) {
  nvtxRangePushA(name);
}

void pop() {
  nvtxRangePop();
}

}  // namespace basin::nvtx
