// What the CUDA kernels of batch normalisation share: the tiles of a block, the arithmetic of a
// channel, and the passes of the backward direction for gradients that come from different places.
#pragma once

#include "kernels/batch_norm/call.h"
#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {

constexpr int kAcross = 8, kDown = 32;  // threads of a block
constexpr int kRowsPerThread = 8;       // of the elementwise kernels
constexpr int kAtOnce = 4;              // rows that a thread of the statistics asks memory for

template <class T>
constexpr int kTile = kAcross* kVectorSize<T>;  // channels of a block

template <class T>
unsigned tiles(int64_t channels) {
  return static_cast<unsigned>((channels + kTile<T> - 1) / kTile<T>);
}

// Calls body(row) for the rows of this thread, in a launch of row_blocks(rows) blocks. They walk
// the tensor in reverse: what the kernel before read last is in the cache yet.
template <class Body>
__device__ void for_each_row_in_reverse(int64_t rows, const Body& body) {
  const int64_t begin = int64_t{gridDim.x - 1 - blockIdx.x} * kDown * kRowsPerThread;
  for (int i = 0; i < kRowsPerThread; ++i) {
    const int64_t row = begin + i * kDown + threadIdx.y;
    if (row >= rows) return;
    body(row);
  }
}

// Rows of a chunk of `call`, a function of the shape: 16 for each thread, which makes the sums over
// a block cheap beside the reading, or fewer where there would be less than 1024 blocks; at least
// those of the call itself, whose partials have room for no more chunks.
template <class T, class Call>
BASIN_HOST_DEVICE int64_t rows_of_chunk(const Call& call) {
  constexpr int64_t kMost = 16, kBlocks = 1024;
  const int64_t across = (call.channels + kTile<T> - 1) / kTile<T>;
  const int64_t per_thread = call.rows * across / (kBlocks * kDown);
  const int64_t rows = kDown * (per_thread < 1 ? 1 : (per_thread < kMost ? per_thread : kMost));
  return rows > call.chunk_rows() ? rows : call.chunk_rows();
}
template <class T, class Call>
BASIN_HOST_DEVICE int64_t chunks_of(const Call& call) {
  const int64_t step = rows_of_chunk<T>(call);
  return (call.rows + step - 1) / step;
}

// The vector of channels of a thread in a tile; count 0: behind the last one.
struct Channels {
  int64_t first;
  int count;
};

template <class T>
__device__ Channels channels_of_vector(int64_t channels, int64_t vector) {
  const int64_t first = vector * kVectorSize<T>, left = channels - first;
  return {first, left <= 0 ? 0 : static_cast<int>(left < kVectorSize<T> ? left : kVectorSize<T>)};
}

template <class T>
__device__ Channels my_channels(int64_t channels, unsigned tile) {
  return channels_of_vector<T>(channels, int64_t{tile} * kAcross + threadIdx.x);
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

// Mean and sum of squares around it of `count` values.
struct Moments {
  double mean, squares, count;
};

// Of values whose mean is nearly `mean`, from the sums of what is left of them and of its squares.
// `mean` is off by its rounding, which matters where it is large beside the deviation: the centred
// values say by how much.
__device__ inline Moments moments_around(float mean, double centred_sum, double square_sum,
                                         double count) {
  const double off = centred_sum / count;
  return {double(mean) + off, max(0.0, square_sum - count * off * off), count};
}

// Writes the statistics of a channel, for a call with those of BatchNormStatistics.
template <class Call>
__device__ void put_statistics(const Call& call, int64_t channel, const Moments& moments) {
  const double variance = moments.squares / moments.count;
  call.mean[channel] = static_cast<float>(moments.mean);
  call.inverse_std[channel] = static_cast<float>(1.0 / sqrt(variance + call.epsilon));
  if (call.running_mean) {
    const double unbiased = moments.squares / max(1.0, moments.count - 1), m = call.momentum;
    float& running_mean = call.running_mean[channel];
    float& running_variance = call.running_variance[channel];
    running_mean = static_cast<float>((1 - m) * running_mean + m * moments.mean);
    running_variance = static_cast<float>((1 - m) * running_variance + m * unbiased);
  }
}

// The normalisation of a vector of channels: z = (x - mean)*factor + bias. The mean is taken off
// first: in the bias it would cancel against x after both were rounded.
template <int kCount>
struct Normalisation {
  float mean[kCount], factor[kCount], bias[kCount];

  // `input`: a call, or what it has of a tensor: mean, inverse_std, weight and bias.
  template <class Input>
  __device__ Normalisation(const Input& input, const Channels& mine) {
    float weight[kCount];
    load(input.mean + mine.first, mine.count, mean);
    load(input.inverse_std + mine.first, mine.count, factor);
    load(input.weight + mine.first, mine.count, weight);
    load(input.bias + mine.first, mine.count, bias);
    for (int k = 0; k < kCount; ++k) factor[k] *= weight[k];
  }
  __device__ float of(int k, float x) const { return (x - mean[k]) * factor[k] + bias[k]; }
};

// The gradient of a vector of channels behind the normalisation: dx = a*dz + (b*(x - mean) + d).
template <int kCount>
struct InputGradient {
  float mean[kCount] = {}, a[kCount] = {}, b[kCount] = {}, d[kCount] = {};

  // `dz`, `dzx`: sums over the rows of dz and of dz*xhat of channel k of the vector, which is
  // `channel` of `input`, a call or what it has of a tensor: mean, inverse_std and weight.
  template <class Input>
  __device__ void set(const Input& input, int64_t rows, int k, int64_t channel, double dz,
                      double dzx) {
    const double share = 1.0 / double(rows);  // one division for all channels
    const double mean_dz = dz * share, mean_dzx = dzx * share;
    const double inverse_std = input.inverse_std[channel];
    const double factor = input.weight[channel] * inverse_std;
    mean[k] = input.mean[channel];
    a[k] = static_cast<float>(factor);
    b[k] = static_cast<float>(-factor * inverse_std * mean_dzx);
    d[k] = static_cast<float>(-factor * mean_dz);
  }
  __device__ float of(int k, float dz, float x) const {
    return a[k] * dz + (b[k] * (x - mean[k]) + d[k]);
  }
};

// Writes, or adds to, the gradient of a parameter where it is wanted.
__device__ inline void put_gradient(float* out, bool accumulate, int64_t channel, double sum) {
  if (out) out[channel] = static_cast<float>((accumulate ? out[channel] : 0.0) + sum);
}

// Threads of the kernels that put the chunks of a channel together: channels, and chunks.
constexpr int kMergeAcross = 32, kMergeDown = 8;

// Where the gradient dz behind the normalisation comes from is a type Source:
// fetch(call, row, mine) asks memory for that of a vector of channels of a row, unpack(call,
// fetched, dz) sets dz to it. Kernels fetch all that they need of a row before they unpack the
// first.

// dz is dy, where the ReLU let it through.
struct PlainGradient {
  struct Fetched {
    Words dy, y;
  };
  template <template <class> class Call, class T>
  __device__ Fetched fetch(const Call<T>& call, int64_t row, const Channels& mine) const {
    const int64_t at = row * call.channels + mine.first;
    return {basin::fetch(call.dy + at, mine.count),
            call.relu ? basin::fetch(call.y + at, mine.count) : Words{}};
  }
  template <template <class> class Call, class T>
  __device__ void unpack(const Call<T>& call, const Fetched& fetched,
                         float (&dz)[kVectorSize<T>]) const {
    basin::unpack<T>(fetched.dy, dz);
    if (!call.relu) return;
    float y[kVectorSize<T>];
    basin::unpack<T>(fetched.y, y);
    for (int k = 0; k < kVectorSize<T>; ++k) dz[k] = y[k] > 0 ? dz[k] : 0;
  }
};

template <class T, class Source>
__global__ void chunk_gradients(BatchNormBackward<T> call, Source source) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const int64_t step = rows_of_chunk<T>(call), begin = blockIdx.x * step;
  const int64_t end = min(begin + step, call.rows);
  CompensatedSum sum_dz[kCount], sum_dzx[kCount];
  if (mine.count > 0) {
    float mean[kCount], inverse_std[kCount];
    load(call.mean + mine.first, mine.count, mean);
    load(call.inverse_std + mine.first, mine.count, inverse_std);
    for (int64_t row = begin + threadIdx.y; row < end; row += kDown) {
      const int64_t at = row * call.channels + mine.first;
      const auto gradient = source.fetch(call, row, mine);
      const Words input = fetch(call.x + at, mine.count);
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
  return call.partials + chunks_of<T>(call) * 2 * call.channels;
}

// The sum over the chunks of column `index` of `partials` [chunks, columns], to the threads of the
// first row of a block of kMergeAcross x kMergeDown. All threads must come.
__device__ inline double sum_chunks(const double* partials, int64_t chunks, int64_t columns,
                                    int64_t index) {
  BASIN_SHARED(sums, double[kMergeDown][kMergeAcross]);
  double sum = 0;
  if (index < columns) {
    for (int64_t i = threadIdx.y; i < chunks; i += kMergeDown) sum += partials[i * columns + index];
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  for (int i = 1; i < kMergeDown && threadIdx.y == 0; ++i) sum += sums[i][threadIdx.x];
  return sum;
}

template <class T>
__global__ void sum_gradients(BatchNormBackward<T> call) {
  const int64_t index = int64_t{blockIdx.x} * kMergeAcross + threadIdx.x;  // of dz, then of dz*xhat
  const double sum = sum_chunks(call.partials, chunks_of<T>(call), 2 * call.channels, index);
  if (threadIdx.y != 0 || index >= 2 * call.channels) return;
  totals(call)[index] = sum;
  if (index < call.channels) {
    put_gradient(call.dbias, call.accumulate_dbias, index, sum);
  } else {
    put_gradient(call.dweight, call.accumulate_dweight, index - call.channels, sum);
  }
}

// dx and dresidual.
template <class T, class Source>
__global__ void batch_norm_backward(BatchNormBackward<T> call, Source source) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  InputGradient<kCount> gradient;
  for (int k = 0; k < kCount; ++k) {
    if (k >= mine.count) break;
    const int64_t channel = mine.first + k;
    gradient.set(call, call.rows, k, channel, totals(call)[channel],
                 totals(call)[call.channels + channel]);
  }
  for_each_row_in_reverse(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    const auto fetched = source.fetch(call, row, mine);
    const Words input = call.dx ? fetch(call.x + at, mine.count) : Words{};
    float dz[kCount];
    source.unpack(call, fetched, dz);
    if (call.dx) {
      float x[kCount];
      unpack<T>(input, x);
      for (int k = 0; k < kCount; ++k) x[k] = gradient.of(k, dz[k], x[k]);
      store_or_add(call.dx + at, mine.count, x, call.accumulate_dx);
    }
    if (call.dresidual) {
      store_or_add(call.dresidual + at, mine.count, dz, call.accumulate_dresidual);
    }
  });
}

inline unsigned merge_blocks(int64_t columns) {
  return static_cast<unsigned>((columns + kMergeAcross - 1) / kMergeAcross);
}

// Blocks that make the sums of the chunks.
template <class T, class Call>
dim3 chunk_grid(const Call& call) {
  return dim3(static_cast<unsigned>(chunks_of<T>(call)), tiles<T>(call.channels));
}

inline unsigned row_blocks(int64_t rows) {
  return static_cast<unsigned>((rows + kDown * kRowsPerThread - 1) / (kDown * kRowsPerThread));
}

}  // namespace basin
