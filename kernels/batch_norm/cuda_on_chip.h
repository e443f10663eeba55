// The kernels of batch normalisation that keep a slice of channels on the chip: both passes over it
// in one launch, the second from shared memory.
//
// A block has all rows of a slice: one or two vectors of 16 bytes of channels, two where they fit,
// since 32 bytes are what memory moves at once; of two slices of 16 bytes side by side the second
// finds its half in the cache. Threads go down the rows, each with a vector, and put what they read
// into shared memory, where they alone read it again. A sum is a thread's, in a CompensatedSum,
// then its warp's, then the block's in the order of its warps, in double. What a slice is, and how
// many threads a block has, depends on the shape and the GPU's shared memory alone.
//
// Forward: the mean; the sum of squares around it; then y. Reads x once.
//
// Backward: the sums of dz and of dz*xhat; then dx and dresidual. Keeps dz, and x where that fits,
// too. Reads x, dy and y once, or x twice.
#pragma once

#include <algorithm>

#include "kernels/batch_norm/cuda_passes.h"

namespace basin {

constexpr int kSliceWarps = 16;  // of a block, at most
constexpr int kMaxAcross = 2;    // vectors of a slice

// A slice of what a block keeps, `copies` tensors of it; across 0: it does not fit.
struct SlicePlan {
  int across, copies;
  size_t bytes;
  unsigned threads;
};

inline SlicePlan slice_plan(int64_t rows, int copies) {
  const auto limit = static_cast<int64_t>(shared_memory_limit());
  for (int across = kMaxAcross; across > 0; across /= 2) {
    if (!slice_fits(rows, across * copies, limit)) continue;
    const int64_t bytes = rows * across * copies * 16;
    // Four rows or more for a thread.
    const int64_t warps = std::clamp<int64_t>(rows * across / (4 * 32), 1, kSliceWarps);
    return {across, copies, static_cast<size_t>(bytes), static_cast<unsigned>(warps * 32)};
  }
  return {0, copies, 0, 0};
}

template <class T>
unsigned slices(int64_t channels, const SlicePlan& plan) {
  const int64_t width = plan.across * kVectorSize<T>;
  return static_cast<unsigned>((channels + width - 1) / width);
}

// What a thread has of its block's slice.
template <class T>
struct Slice {
  static constexpr int kCount = kVectorSize<T>;
  int across, column;
  Channels mine;

  __device__ Slice(int64_t channels, int across_)
      : across(across_),
        column(static_cast<int>(threadIdx.x) % across),
        mine(channels_of_vector<T>(channels, int64_t{blockIdx.x} * across + column)) {}

  // Calls body(row) for the rows of this thread: each time the same ones.
  template <class Body>
  __device__ void for_each_row(int64_t rows, const Body& body) const {
    if (mine.count == 0) return;
    for (int64_t row = threadIdx.x / across; row < rows; row += blockDim.x / across) body(row);
  }
  // Calls ask(i, row) for the next kAtOnce of them, i from 0 on, and then use(i, row): what all ask
  // memory for is on its way before the first is used.
  template <class Ask, class Use>
  __device__ void for_each_row(int64_t rows, const Ask& ask, const Use& use) const {
    if (mine.count == 0) return;
    const int64_t down = blockDim.x / across;
    for (int64_t row = threadIdx.x / across; row < rows; row += kAtOnce * down) {
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (row + i * down < rows) ask(i, row + i * down);
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (row + i * down < rows) use(i, row + i * down);
      }
    }
  }
  // Whether it is the first of the threads with these channels, which writes what they have in
  // common.
  __device__ bool is_first() const {
    return static_cast<int>(threadIdx.x) < across;
  }
  // Where the vector of a row is kept.
  __device__ int64_t at(int64_t row) const {
    return (row * across + column) * kCount;
  }

  // Sums over the rows of the block, of one value for each channel of the vector, to all threads
  // that have the vector. All threads must come.
  __device__ void sum(const CompensatedSum (&sums)[kCount], double (&totals)[kCount]) const {
    static_assert(kSliceWarps * kMaxAcross * kVectorSize<T> * sizeof(double) <= kSliceSums);
    BASIN_SHARED(partials, double[kSliceWarps][kMaxAcross * kVectorSize<T>]);
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    for (int k = 0; k < kCount; ++k) {
      double value = sums[k].value();
      for (int distance = 16; distance >= across; distance /= 2) {
        value += __shfl_xor_sync(kAllLanes, value, distance);
      }
      if (static_cast<int>(lane) < across) partials[threadIdx.x / 32][column * kCount + k] = value;
    }
    __syncthreads();
    for (int k = 0; k < kCount; ++k) {
      totals[k] = 0;
      for (unsigned warp = 0; warp < warps; ++warp) {
        totals[k] += partials[warp][column * kCount + k];
      }
    }
    __syncthreads();  // before the next call writes
  }
};

template <class T>
__global__ void slice_forward(BatchNormTrainForward<T> call, int across) {
  constexpr int kCount = kVectorSize<T>;
  BASIN_DYNAMIC_SHARED(T, kept);
  const Slice<T> slice(call.channels, across);
  const auto rows = static_cast<double>(call.rows);
  const Channels mine = slice.mine;

  CompensatedSum sums[kCount], centred[kCount], squares[kCount];
  Words words[kAtOnce] = {};
  slice.for_each_row(
      call.rows,
      [&](int i, int64_t row) {
        words[i] = fetch(call.x + row * call.channels + mine.first, mine.count);
      },
      [&](int i, int64_t row) {
        float x[kCount];
        unpack<T>(words[i], x);
        store(kept + slice.at(row), kCount, x);
        for (int k = 0; k < kCount; ++k) sums[k].add(x[k]);
      });
  double total[kCount];
  slice.sum(sums, total);
  float mean[kCount];
  for (int k = 0; k < kCount; ++k) mean[k] = static_cast<float>(total[k] / rows);
  slice.for_each_row(call.rows, [&](int64_t row) {
    float x[kCount];
    load(kept + slice.at(row), kCount, x);
    for (int k = 0; k < kCount; ++k) {
      const float difference = x[k] - mean[k];
      centred[k].add(difference);
      squares[k].add(difference * difference);
    }
  });
  double centred_sum[kCount], square_sum[kCount];
  slice.sum(centred, centred_sum);
  slice.sum(squares, square_sum);
  if (slice.is_first()) {
    for (int k = 0; k < kCount; ++k) {
      if (k >= mine.count) break;
      put_statistics(call, mine.first + k,
                     moments_around(mean[k], centred_sum[k], square_sum[k], rows));
    }
  }
  __syncthreads();  // the statistics are there

  if (mine.count == 0) return;
  const Normalisation<kCount> normalisation(call, mine);
  slice.for_each_row(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    float x[kCount], residual[kCount] = {};
    load(kept + slice.at(row), kCount, x);
    if (call.residual) load(call.residual + at, mine.count, residual);
    for (int k = 0; k < kCount; ++k) {
      const float z = normalisation.of(k, x[k]) + residual[k];
      x[k] = call.relu && !(z > 0) ? 0 : z;
    }
    store(call.y + at, mine.count, x);
  });
}

template <class T>
__global__ void slice_backward(BatchNormBackward<T> call, SlicePlan plan) {
  constexpr int kCount = kVectorSize<T>;
  BASIN_DYNAMIC_SHARED(T, kept_dz);
  T* const kept_x = plan.copies > 1 ? kept_dz + call.rows * plan.across * kCount : nullptr;
  const Slice<T> slice(call.channels, plan.across);
  const Channels mine = slice.mine;

  CompensatedSum sum_dz[kCount], sum_dzx[kCount];
  float mean[kCount], inverse_std[kCount];
  load(call.mean + mine.first, mine.count, mean);
  load(call.inverse_std + mine.first, mine.count, inverse_std);
  slice.for_each_row(call.rows, [&](int64_t row) {
    const PlainGradient source;
    const auto gradient = source.fetch(call, row, mine);
    const Words input = fetch(call.x + row * call.channels + mine.first, mine.count);
    float dz[kCount], x[kCount];
    source.unpack(call, gradient, dz);
    unpack<T>(input, x);
    store(kept_dz + slice.at(row), kCount, dz);
    if (kept_x) store(kept_x + slice.at(row), kCount, x);
    for (int k = 0; k < kCount; ++k) {
      sum_dz[k].add(dz[k]);
      sum_dzx[k].add((x[k] - mean[k]) * inverse_std[k] * dz[k]);
    }
  });
  double dz_total[kCount], dzx_total[kCount];
  slice.sum(sum_dz, dz_total);
  slice.sum(sum_dzx, dzx_total);

  InputGradient<kCount> gradient;
  for (int k = 0; k < kCount; ++k) {
    if (k >= mine.count) break;
    const int64_t channel = mine.first + k;
    gradient.set(call, call.rows, k, channel, dz_total[k], dzx_total[k]);
    if (slice.is_first()) {
      put_gradient(call.dbias, call.accumulate_dbias, channel, dz_total[k]);
      put_gradient(call.dweight, call.accumulate_dweight, channel, dzx_total[k]);
    }
  }
  if (!call.dx && !call.dresidual) return;
  slice.for_each_row(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    float dz[kCount];
    load(kept_dz + slice.at(row), kCount, dz);
    if (call.dx) {
      float x[kCount];
      if (kept_x) {
        load(kept_x + slice.at(row), kCount, x);
      } else {
        load(call.x + at, mine.count, x);
      }
      for (int k = 0; k < kCount; ++k) x[k] = gradient.of(k, dz[k], x[k]);
      store_or_add(call.dx + at, mine.count, x, call.accumulate_dx);
    }
    if (call.dresidual) {
      store_or_add(call.dresidual + at, mine.count, dz, call.accumulate_dresidual);
    }
  });
}

}  // namespace basin
