// Sums over the threads of a warp and of a block, in an order that never changes.
#pragma once

#include "kernels/device/kernel.h"

namespace basin {

constexpr unsigned kAllLanes = 0xFFFFFFFFu;

// The sum over the 32 lanes of a warp, to all of them. All lanes must come.
template <class T>
__device__ T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

// The sum over the kThreads threads of a one-dimensional block, to all of them. All threads must
// come; may be called again at once.
template <int kThreads, class T>
__device__ T block_sum(T value) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024, "a block of whole warps");
  BASIN_SHARED(partials, T[kThreads / 32]);
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) partials[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = partials[0];
  for (int warp = 1; warp < kThreads / 32; ++warp) sum += partials[warp];
  __syncthreads();  // before the next call writes
  return sum;
}

// A long sum in float whose error does not grow with its length (Kahan 1965).
class CompensatedSum {
 public:
  __device__ void add(float value) {
    const float corrected = value - lost_;
    const float next = sum_ + corrected;
    lost_ = (next - sum_) - corrected;
    sum_ = next;
  }
  __device__ double value() const { return double(sum_) - double(lost_); }

 private:
  float sum_ = 0, lost_ = 0;
};

}  // namespace basin
