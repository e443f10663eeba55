// The calls on devices other than the CPU. One .cu file defines both of a call: nvcc makes
// cuda::run of it, a host compiler emulated::run. A call that a device lacks is a link error.
#pragma once

#include "kernels/stream.h"

namespace basin {

namespace cuda {
// Queues `call`, whose pointers point to device memory, on a CUDA stream. Throws Error when CUDA
// does not take the launch.
template <class Call>
void run(const Call& call, StreamHandle stream);
}  // namespace cuda

namespace emulated {
// Runs `call`, whose pointers point to ordinary memory, as CUDA threads on the host, with the
// options of kernels/emulator/options.h. Throws Error for a fault of the kernel.
template <class Call>
void run(const Call& call);
}  // namespace emulated

}  // namespace basin
