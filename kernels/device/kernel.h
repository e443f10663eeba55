// The only header a .cu file includes for its device: CUDA under nvcc, the emulator under a host
// compiler. docs/kernels.md says how a kernel is written.
//
// BASIN_SHARED(name, type) is a variable in shared memory, as in BASIN_SHARED(tile, float[8][9]).
// BASIN_DYNAMIC_SHARED(type, name) points to the shared memory that the launch asked for.
// BASIN_COPY_16(to, from) copies 16 bytes between aligned addresses, in one access.
// BASIN_DEVICE_CHECK(condition) stops the kernel where it is false.
// launch(kernel, grid, block, shared_bytes, stream, arguments...) runs a kernel.
// shared_memory_limit() is how much shared memory a block may have, in bytes.
// BASIN_DEFINE_RUN(Call) makes cuda::run or emulated::run from launch_call(call, stream).
#pragma once

#include "kernels/base/check.h"
#include "kernels/device/declarations.h"

#ifdef __CUDACC__

#include <cuda_runtime.h>

namespace basin {
template <class T>
struct SharedType {
  using Type = T;
};
}  // namespace basin

#define BASIN_SHARED(name, ...) __shared__ typename ::basin::SharedType<__VA_ARGS__>::Type name
#define BASIN_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char basin_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(basin_dynamic_shared)
#define BASIN_COPY_16(to, from) \
  (*reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from))
#define BASIN_DEVICE_CHECK(condition) \
  do {                                \
    if (!(condition)) __trap();       \
  } while (false)
#define BASIN_DEFINE_RUN(...)                                        \
  template <>                                                        \
  void cuda::run(const __VA_ARGS__& call, ::basin::Stream& stream) { \
    launch_call(call, stream.cuda_handle());                         \
  }

namespace basin {

// Of the current GPU: 227 KiB with compute capability 9.0, 163 KiB with 8.0.
inline size_t shared_memory_limit() {
  int device = 0, bytes = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
  BASIN_CHECK(error == cudaSuccess,
              "CUDA did not say how much shared memory a block has: ", cudaGetErrorString(error));
  return static_cast<size_t>(bytes);
}

// Queues kernel<<<grid, block, shared_bytes, stream>>>(arguments...). Throws Error when CUDA does
// not take it.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            StreamHandle stream, Arguments&&... arguments) {
  cudaError_t error = cudaSuccess;
  constexpr size_t kWithoutAsking = 48 * 1024;
  if (shared_bytes > kWithoutAsking) {
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
  }
  if (error == cudaSuccess) {
    kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
    error = cudaGetLastError();
  }
  BASIN_CHECK(error == cudaSuccess, "CUDA did not take a launch of ", grid.x, "x", grid.y, "x",
              grid.z, " blocks of ", block.x, "x", block.y, "x", block.z, " threads with ",
              shared_bytes, " bytes of shared memory: ", cudaGetErrorString(error));
}

}  // namespace basin

#else
#include "kernels/emulator/emulator.h"
#endif
