// A call on each device, declared once for all calls: defined by explicit specialisation beside the
// call, so a call that a device lacks is a link error.
#pragma once

#include "kernels/device/stream.h"

namespace basin {

namespace cpu {
// Runs `call`, whose pointers point to ordinary memory.
template <class Call>
void run(const Call& call);
}  // namespace cpu

namespace cuda {
// Queues `call`, whose pointers point to device memory. Throws Error where CUDA does not take the
// launch, or the library that runs the call does not.
template <class Call>
void run(const Call& call, Stream& stream);
// Bytes of workspace for a call of this shape that a library runs; its pointers do not matter.
template <class Call>
int64_t workspace_bytes(const Call& call, Stream& stream);
}  // namespace cuda

namespace emulated {
// Runs `call`, whose pointers point to ordinary memory, as CUDA threads on the host, with the
// options of kernels/emulator/options.h. Throws Error for a fault of the kernel.
template <class Call>
void run(const Call& call);
}  // namespace emulated

}  // namespace basin

// In namespace basin::cpu: makes cpu::run of a call from compute(call).
#define BASIN_CPU_RUN(...)            \
  template <>                         \
  void run(const __VA_ARGS__& call) { \
    compute(call);                    \
  }
