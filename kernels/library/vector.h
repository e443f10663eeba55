// Memory access of kernels: several neighbouring elements as one vector of up to 16 bytes where
// address and count allow it, else one by one. Values are float in registers.
#pragma once

#include "kernels/base/bf16.h"
#include "kernels/base/types.h"
#include "kernels/device/kernel.h"

namespace basin {

// Elements of T that one access of 16 bytes moves.
template <class T>
constexpr int kVectorSize = 16 / static_cast<int>(sizeof(T));

template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  T values[kCount];
};

template <class T, int kCount>
__device__ bool is_whole(const T* address, int count) {
  return count == kCount && reinterpret_cast<uintptr_t>(address) % sizeof(Pack<T, kCount>) == 0;
}

// values[0, count) = x[0, count), the rest 0; count <= kCount. Loops run over all of kCount, so
// that the values stay in registers.
template <class T, int kCount>
__device__ void load(const T* x, int count, float (&values)[kCount]) {
  if (is_whole<T, kCount>(x, count)) {
    const auto pack = *reinterpret_cast<const Pack<T, kCount>*>(x);
#pragma unroll
    for (int k = 0; k < kCount; ++k) values[k] = to_float(pack.values[k]);
  } else {
#pragma unroll
    for (int k = 0; k < kCount; ++k) values[k] = k < count ? to_float(x[k]) : 0;
  }
}

// A vector as it is in memory, the rest 0; for kernels that load several before they use the first.
// It stays in whole registers: to split them into 16-bit elements would wait for the load.
struct alignas(16) Words {
  uint32_t values[4];
};
template <class T>
__device__ Words fetch(const T* x, int count) {
  constexpr int kCount = kVectorSize<T>;
  Words words;
  if (is_whole<T, kCount>(x, count)) {
    BASIN_COPY_16(&words, x);
  } else {
    Pack<T, kCount> pack;
#pragma unroll
    for (int k = 0; k < kCount; ++k) pack.values[k] = k < count ? x[k] : T{};
    memcpy(&words, &pack, sizeof(words));
  }
  return words;
}
template <class T>
__device__ void unpack(const Words& words, float (&values)[kVectorSize<T>]) {
  Pack<T, kVectorSize<T>> pack;
  memcpy(&pack, &words, sizeof(words));
#pragma unroll
  for (int k = 0; k < kVectorSize<T>; ++k) values[k] = to_float(pack.values[k]);
}

// x[0, count) = values[0, count), rounded to T.
template <class T, int kCount>
__device__ void store(T* x, int count, const float (&values)[kCount]) {
  if (is_whole<T, kCount>(x, count)) {
    Pack<T, kCount> pack;
#pragma unroll
    for (int k = 0; k < kCount; ++k) pack.values[k] = from_float<T>(values[k]);
    *reinterpret_cast<Pack<T, kCount>*>(x) = pack;
  } else {
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      if (k < count) x[k] = from_float<T>(values[k]);
    }
  }
}

// x[0, count) (+)= values[0, count).
template <class T, int kCount>
__device__ void store_or_add(T* x, int count, float (&values)[kCount], bool accumulate) {
  if (accumulate) {
    float before[kCount];
    load(x, count, before);
#pragma unroll
    for (int k = 0; k < kCount; ++k) values[k] += before[k];
  }
  store(x, count, values);
}

template <class T, int kCount>
__device__ void store_or_add(const Gradient<T>& gradient, int64_t first, int count,
                             float (&values)[kCount]) {
  store_or_add(gradient.to + first, count, values, gradient.accumulate);
}

// Bytes, without conversion.
template <int kCount>
__device__ void load_bytes(const uint8_t* x, int count, Pack<uint8_t, kCount>& pack) {
  if (is_whole<uint8_t, kCount>(x, count)) {
    pack = *reinterpret_cast<const Pack<uint8_t, kCount>*>(x);
  } else {
#pragma unroll
    for (int k = 0; k < kCount; ++k) pack.values[k] = k < count ? x[k] : uint8_t{0};
  }
}
template <int kCount>
__device__ void store_bytes(uint8_t* x, int count, const Pack<uint8_t, kCount>& pack) {
  if (is_whole<uint8_t, kCount>(x, count)) {
    *reinterpret_cast<Pack<uint8_t, kCount>*>(x) = pack;
  } else {
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      if (k < count) x[k] = pack.values[k];
    }
  }
}

// Calls body(first, count) for the vectors of [0, size) that fall to this thread of a grid of any
// size.
template <int kCount, class Body>
__device__ void for_each_vector(int64_t size, const Body& body) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * kCount;
  int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kCount;
  for (; first < size; first += stride) {
    body(first, static_cast<int>(size - first < kCount ? size - first : kCount));
  }
}

// Threads of a block, and blocks that cover `size` elements with one vector of `count` for each
// thread; at most 4096 blocks, which then go on as for_each_vector says.
constexpr int kThreads = 256;
inline unsigned blocks_for(int64_t size, int64_t count) {
  const int64_t blocks = (size + kThreads * count - 1) / (kThreads * count);
  return static_cast<unsigned>(blocks < 1 ? 1 : (blocks > 4096 ? 4096 : blocks));
}

}  // namespace basin
