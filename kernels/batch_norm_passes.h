// What the CUDA kernels of batch normalisation share: the tiles of a block, and the passes of the
// backward direction for gradients that come from different places.
#pragma once

#include "kernels/batch_norm.h"
#include "kernels/reduce.h"
#include "kernels/vector.h"

namespace basin {

constexpr int kAcross = 8, kDown = 32;  // threads of a block
constexpr int kRowsPerThread = 8;       // of the elementwise kernels

template <class T>
constexpr int kTile = kAcross* kVectorSize<T>;  // channels of a block

template <class T>
unsigned tiles(int64_t channels) {
  return static_cast<unsigned>((channels + kTile<T> - 1) / kTile<T>);
}

// The vector of channels of a thread in a tile; count 0: behind the last one.
struct Channels {
  int64_t first;
  int count;
};

template <class T>
__device__ Channels my_channels(int64_t channels, unsigned tile) {
  const int64_t first = (int64_t{tile} * kAcross + threadIdx.x) * kVectorSize<T>;
  const int64_t left = channels - first;
  return {first, left <= 0 ? 0 : static_cast<int>(left < kVectorSize<T> ? left : kVectorSize<T>)};
}

// Sums over the threads down a block, of one value for each channel of its tile; to the first
// kTile<T> threads of the block, one channel each. All threads must come.
template <class T>
__device__ double sum_down(const CompensatedSum (&sums)[kVectorSize<T>]) {
  BASIN_SHARED(partials, double[kDown][kTile<T>]);
  for (int k = 0; k < kVectorSize<T>; ++k) {
    partials[threadIdx.y][threadIdx.x * kVectorSize<T> + k] = sums[k].value();
  }
  __syncthreads();
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;
  double total = 0;
  if (thread < kTile<T>) {
    for (int row = 0; row < kDown; ++row) total += partials[row][thread];
  }
  __syncthreads();  // before the next call writes
  return total;
}

// Threads of the kernels that put the chunks of a channel together: channels, and chunks.
constexpr int kMergeAcross = 32, kMergeDown = 8;

// Where the gradient dz behind the normalisation comes from is a type Source:
// load(call, row, mine, dz) sets dz to that of a vector of channels of a row.

template <class T, class Source>
__global__ void chunk_gradients(BatchNormBackward<T> call, Source source) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const int64_t begin = blockIdx.x * call.chunk_rows();
  const int64_t end = min(begin + call.chunk_rows(), call.rows);
  CompensatedSum sum_dz[kCount], sum_dzx[kCount];
  if (mine.count > 0) {
    float mean[kCount], inverse_std[kCount];
    load(call.mean + mine.first, mine.count, mean);
    load(call.inverse_std + mine.first, mine.count, inverse_std);
    for (int64_t row = begin + threadIdx.y; row < end; row += kDown) {
      const int64_t at = row * call.channels + mine.first;
      float dz[kCount], x[kCount];
      source.load(call, row, mine, dz);
      load(call.x + at, mine.count, x);
      for (int k = 0; k < kCount; ++k) {
        sum_dz[k].add(dz[k]);
        sum_dzx[k].add((x[k] - mean[k]) * inverse_std[k] * dz[k]);
      }
    }
  }
  const double dz = sum_down<T>(sum_dz), dzx = sum_down<T>(sum_dzx);
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;
  const int64_t channel = int64_t{blockIdx.y} * kTile<T> + thread;
  if (thread < kTile<T> && channel < call.channels) {
    double* chunk = call.partials + int64_t{blockIdx.x} * 2 * call.channels;
    chunk[channel] = dz;
    chunk[call.channels + channel] = dzx;
  }
}

// The totals of dz and dz*xhat come behind the chunks in `partials`.
template <class T>
__device__ double* totals(const BatchNormBackward<T>& call) {
  const int64_t step = call.chunk_rows();
  return call.partials + (call.rows + step - 1) / step * 2 * call.channels;
}

template <class T>
__global__ void sum_gradients(BatchNormBackward<T> call) {
  BASIN_SHARED(sums, double[kMergeDown][kMergeAcross]);
  const int64_t step = call.chunk_rows(), chunks = (call.rows + step - 1) / step;
  const int64_t index = int64_t{blockIdx.x} * kMergeAcross + threadIdx.x;  // of dz, then of dz*xhat
  double sum = 0;
  if (index < 2 * call.channels) {
    for (int64_t i = threadIdx.y; i < chunks; i += kMergeDown) {
      sum += call.partials[i * 2 * call.channels + index];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || index >= 2 * call.channels) return;
  for (int i = 1; i < kMergeDown; ++i) sum += sums[i][threadIdx.x];
  totals(call)[index] = sum;
  const bool is_bias = index < call.channels;
  float* out = is_bias ? call.dbias : call.dweight;
  const bool accumulate = is_bias ? call.accumulate_dbias : call.accumulate_dweight;
  const int64_t channel = is_bias ? index : index - call.channels;
  if (out) out[channel] = static_cast<float>((accumulate ? out[channel] : 0.0) + sum);
}

// dx = a*dz + (b*(x - mean) + d) with a, b, d of the channel. Blocks walk the tensor in reverse:
// what chunk_gradients read last is in the cache yet.
template <class T, class Source>
__global__ void batch_norm_backward(BatchNormBackward<T> call, Source source) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  float mean[kCount] = {}, a[kCount] = {}, b[kCount] = {}, d[kCount] = {};
  for (int k = 0; k < kCount; ++k) {
    if (k >= mine.count) break;
    const int64_t channel = mine.first + k;
    const double mean_dz = totals(call)[channel] / double(call.rows);
    const double mean_dzx = totals(call)[call.channels + channel] / double(call.rows);
    const double inverse_std = call.inverse_std[channel];
    const double factor = call.weight[channel] * inverse_std;
    mean[k] = call.mean[channel];
    a[k] = static_cast<float>(factor);
    b[k] = static_cast<float>(-factor * inverse_std * mean_dzx);
    d[k] = static_cast<float>(-factor * mean_dz);
  }
  const int64_t begin = int64_t{gridDim.x - 1 - blockIdx.x} * kDown * kRowsPerThread;
  for (int i = 0; i < kRowsPerThread; ++i) {
    const int64_t row = begin + i * kDown + threadIdx.y;
    if (row >= call.rows) return;
    const int64_t at = row * call.channels + mine.first;
    float dz[kCount];
    source.load(call, row, mine, dz);
    if (call.dx) {
      float x[kCount];
      load(call.x + at, mine.count, x);
      for (int k = 0; k < kCount; ++k) x[k] = a[k] * dz[k] + (b[k] * (x[k] - mean[k]) + d[k]);
      store_or_add(call.dx + at, mine.count, x, call.accumulate_dx);
    }
    if (call.dresidual) {
      store_or_add(call.dresidual + at, mine.count, dz, call.accumulate_dresidual);
    }
  }
}

inline unsigned merge_blocks(int64_t columns) {
  return static_cast<unsigned>((columns + kMergeAcross - 1) / kMergeAcross);
}

template <class Call>
unsigned chunks_of(const Call& call) {
  return static_cast<unsigned>((call.rows + call.chunk_rows() - 1) / call.chunk_rows());
}

inline unsigned row_blocks(int64_t rows) {
  return static_cast<unsigned>((rows + kDown * kRowsPerThread - 1) / (kDown * kRowsPerThread));
}

}  // namespace basin
