// What the CUDA kernels of batch normalisation share: the tiles of a block, the arithmetic of a
// channel, and the backward direction for a dz that comes from different places.
#pragma once

#include "kernels/batch_norm/call.h"
#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {

constexpr int kAcross = 8, kDown = 32;            // threads of a block
constexpr int kRowsPerThread = 8;                 // of the elementwise kernels
constexpr int kMergeAcross = 32, kMergeDown = 8;  // threads of a merge: channels, chunks

template <class T>
constexpr int kTile = kAcross* kVectorSize<T>;  // channels of a block

template <class T>
unsigned tiles(int64_t channels) {
  return static_cast<unsigned>((channels + kTile<T> - 1) / kTile<T>);
}
inline unsigned row_blocks(int64_t rows) {
  return static_cast<unsigned>((rows + kDown * kRowsPerThread - 1) / (kDown * kRowsPerThread));
}
inline unsigned merge_blocks(int64_t channels) {
  return static_cast<unsigned>((channels + kMergeAcross - 1) / kMergeAcross);
}

// Calls body(row) for the rows of this thread, in a launch of row_blocks(rows) blocks. They walk
// the tensor in reverse: what the kernel before read last is still in the cache.
template <class Body>
__device__ void for_each_row_in_reverse(int64_t rows, const Body& body) {
  const int64_t begin = int64_t{gridDim.x - 1 - blockIdx.x} * kDown * kRowsPerThread;
  for (int i = 0; i < kRowsPerThread; ++i) {
    const int64_t row = begin + i * kDown + threadIdx.y;
    if (row >= rows) return;
    body(row);
  }
}

// The chunks of rows, each of which a block sums: a function of the shape. 16 rows for each thread,
// which makes the sums over a block cheap beside the reading, or fewer where there would be less
// than 1024 blocks; at least those of the CPU's chunks: `partials` has room for no more chunks.
template <class T>
struct Chunks {
  int64_t rows, channels, step, count;

  BASIN_HOST_DEVICE Chunks(int64_t rows_, int64_t channels_) : rows(rows_), channels(channels_) {
    constexpr int64_t kMost = 16, kBlocks = 1024;
    const int64_t across = (channels + kTile<T> - 1) / kTile<T>;
    const int64_t per_thread = rows * across / (kBlocks * kDown);
    const int64_t wanted = kDown * (per_thread < 1 ? 1 : (per_thread < kMost ? per_thread : kMost));
    const int64_t least = batch_norm_chunk_rows(channels);
    step = wanted > least ? wanted : least;
    count = (rows + step - 1) / step;
  }
  dim3 grid() const { return dim3(static_cast<unsigned>(count), tiles<T>(channels)); }
  __device__ int64_t rows_of(int64_t chunk) const { return min(step, rows - chunk * step); }
};

// The vector of channels of a thread in a tile; count 0: after the last one.
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

// Writes what the first kTile<T> threads have of the block's chunk to `partials` [chunks, 2,
// channels].
template <class T>
__device__ void put_chunk(double* partials, int64_t channels, double first, double second) {
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;
  const int64_t channel = int64_t{blockIdx.y} * kTile<T> + thread;
  if (thread >= kTile<T> || channel >= channels) return;
  double* chunk = partials + int64_t{blockIdx.x} * 2 * channels;
  chunk[channel] = first;
  chunk[channels + channel] = second;
}

// Merges what read(chunk) gives for a channel: eight threads take every eighth chunk, and theirs
// are merged in order. The threads of the first row of the block get the result. All threads must
// come.
template <class Value, class Read>
__device__ Value merge_chunks(int64_t chunks, const Read& read) {
  BASIN_SHARED(merged, Value[kMergeDown][kMergeAcross]);
  Value value{};
  for (int64_t i = threadIdx.y; i < chunks; i += kMergeDown) value = merge(value, read(i));
  merged[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  for (int i = 1; i < kMergeDown && threadIdx.y == 0; ++i) {
    value = merge(value, merged[i][threadIdx.x]);
  }
  return value;
}

// The normalisation of a vector of channels: z = (x - mean)*factor + bias. The mean is taken off
// first: in the bias it would cancel against x after both were rounded.
template <class T>
struct Normalisation {
  static constexpr int kCount = kVectorSize<T>;
  float mean[kCount], factor[kCount], bias[kCount];

  __device__ Normalisation(const BatchNormInput<T>& input, const Channels& mine) {
    float weight[kCount];
    load(input.mean + mine.first, mine.count, mean);
    load(input.inverse_std + mine.first, mine.count, factor);
    load(input.weight + mine.first, mine.count, weight);
    load(input.bias + mine.first, mine.count, bias);
    for (int k = 0; k < kCount; ++k) factor[k] *= weight[k];
  }
  __device__ float of(int k, float x) const { return (x - mean[k]) * factor[k] + bias[k]; }
};

// Sums over rows.
struct GradientSums {
  double dz, dzx;  // of dz, of dz*xhat
};
__device__ inline GradientSums merge(const GradientSums& a, const GradientSums& b) {
  return {a.dz + b.dz, a.dzx + b.dzx};
}

// In the backward direction dz comes from a Source: fetch(call, row, mine) asks memory for that of
// a vector of channels of a row, unpack(call, fetched, dz) sets dz to it. Kernels fetch all that
// they need of a row before they unpack the first.

template <class T, class Source>
__global__ void chunk_gradients(BatchNormBackward<T> call, Source source) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const Chunks<T> chunks(call.rows, call.channels);
  const int64_t begin = blockIdx.x * chunks.step, end = begin + chunks.rows_of(blockIdx.x);
  CompensatedSum sum_dz[kCount], sum_dzx[kCount];
  if (mine.count > 0) {
    float mean[kCount], inverse_std[kCount];
    load(call.input.mean + mine.first, mine.count, mean);
    load(call.input.inverse_std + mine.first, mine.count, inverse_std);
    for (int64_t row = begin + threadIdx.y; row < end; row += kDown) {
      const auto gradient = source.fetch(call, row, mine);
      const Words input = fetch(call.input.x + row * call.channels + mine.first, mine.count);
      float dz[kCount], x[kCount];
      source.unpack(call, gradient, dz);
      unpack<T>(input, x);
      for (int k = 0; k < kCount; ++k) {
        sum_dz[k].add(dz[k]);
        sum_dzx[k].add((x[k] - mean[k]) * inverse_std[k] * dz[k]);
      }
    }
  }
  const double dz = sum_down<T>(sum_dz), dzx = sum_down<T>(sum_dzx);
  put_chunk<T>(call.partials, call.channels, dz, dzx);
}

// a, b, d [3, channels] of dx = a*dz + (b*(x - mean) + d): after the chunks in `partials`.
template <class T>
__device__ float* coefficients(const BatchNormBackward<T>& call) {
  const int64_t chunks = Chunks<T>(call.rows, call.channels).count;
  return reinterpret_cast<float*>(call.partials + chunks * 2 * call.channels);
}

// dweight, dbias and the coefficients.
template <class T>
__global__ void merge_gradients(BatchNormBackward<T> call) {
  const int64_t channels = call.channels;
  const int64_t channel = int64_t{blockIdx.x} * kMergeAcross + threadIdx.x;
  const Chunks<T> chunks(call.rows, channels);
  const auto sums =
      merge_chunks<GradientSums>(channel < channels ? chunks.count : 0, [&](int64_t i) {
        const double* chunk = call.partials + i * 2 * channels;
        return GradientSums{chunk[channel], chunk[channels + channel]};
      });
  if (threadIdx.y != 0 || channel >= channels) return;
  call.dbias.store(channel, sums.dz);
  call.dweight.store(channel, sums.dzx);
  const double share = 1.0 / double(call.rows), inverse_std = call.input.inverse_std[channel];
  const double factor = call.input.weight[channel] * inverse_std;
  float* const of_channel = coefficients(call) + channel;
  of_channel[0] = static_cast<float>(factor);
  of_channel[channels] = static_cast<float>(-factor * inverse_std * (sums.dzx * share));
  of_channel[2 * channels] = static_cast<float>(-factor * (sums.dz * share));
}

// dresidual and dx.
template <class T, class Source>
__global__ void batch_norm_backward(BatchNormBackward<T> call, Source source) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  const float* const of_channels = coefficients(call) + mine.first;
  float mean[kCount], a[kCount], b[kCount], d[kCount];
  load(call.input.mean + mine.first, mine.count, mean);
  load(of_channels, mine.count, a);
  load(of_channels + call.channels, mine.count, b);
  load(of_channels + 2 * call.channels, mine.count, d);
  for_each_row_in_reverse(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    const auto gradient = source.fetch(call, row, mine);
    const Words input = call.dx.to ? fetch(call.input.x + at, mine.count) : Words{};
    float dz[kCount], x[kCount];
    source.unpack(call, gradient, dz);
    unpack<T>(input, x);
    for (int k = 0; k < kCount; ++k) x[k] = a[k] * dz[k] + (b[k] * (x[k] - mean[k]) + d[k]);
    if (call.dresidual.to) {
      store_or_add(call.dresidual.to + at, mine.count, dz, call.dresidual.accumulate);
    }
    if (call.dx.to) store_or_add(call.dx.to + at, mine.count, x, call.dx.accumulate);
  });
}

template <class T, class Source>
void launch_backward(const BatchNormBackward<T>& call, const Source& source, StreamHandle stream) {
  const dim3 threads(kAcross, kDown);
  launch(chunk_gradients<T, Source>, Chunks<T>(call.rows, call.channels).grid(), threads, 0, stream,
         call, source);
  launch(merge_gradients<T>, merge_blocks(call.channels), dim3(kMergeAcross, kMergeDown), 0, stream,
         call);
  if (!call.dx.to && !call.dresidual.to) return;
  launch(batch_norm_backward<T, Source>, dim3(row_blocks(call.rows), tiles<T>(call.channels)),
         threads, 0, stream, call, source);
}

}  // namespace basin
