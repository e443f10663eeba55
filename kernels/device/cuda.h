// GPU 0: what it is, and memory. No CUDA header is needed to use it. Every function throws Error,
// with the CUDA call, the name of its error and a remedy; release() writes to stderr instead.
#pragma once

#include <cstdint>
#include <string>

namespace basin::cuda {

struct DeviceInfo {
  std::string name;
  int compute_major, compute_minor, multiprocessors;
  int64_t memory_bytes, free_bytes;
  int driver_version, runtime_version;  // as CUDA numbers them: 13000 is 13.0
};

// GPUs that can be used; 0 without a driver or a GPU, and then *why_none, unless null, says why in
// words. Never throws.
int device_count(std::string* why_none);

// GPU 0, the only one that is used. CUDA_VISIBLE_DEVICES says which one that is.
DeviceInfo describe();

// Throws Error, in one line, where this program cannot run on GPU 0: there is none, the driver is
// too old, no code for this GPU was compiled, a library is missing.
void require_usable();

// Throw Error, naming where it was looked for, where the library is missing or too old. Defined
// where the library is used: kernels/conv2d/ and kernels/gemm/.
void check_cudnn();
void check_cublas();

// Memory of the GPU, 256-byte aligned, contents undefined, not counted by memory_use(); null for 0
// bytes. Waits for the GPU, so not for use in a step.
void* allocate(int64_t bytes);
void release(void* memory);

}  // namespace basin::cuda
