// Named ranges on the timeline of NVIDIA's profilers (Nsight Systems, Nsight Compute).
#pragma once

namespace basin::nvtx {

#ifdef BASIN_CUDA
constexpr bool kAvailable = true;
// Ranges nest. `name` is copied.
void push(const char* name);
void pop();
#else
constexpr bool kAvailable = false;
inline void push(const char*) {}
inline void pop() {}
#endif

}  // namespace basin::nvtx
