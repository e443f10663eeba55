// Batch normalisation as CUDA kernels, over the rows of a [rows, channels] tensor.
//
// A block is 8 threads along channels, each with a vector of 16 bytes, by 32 along rows: a tile of
// 32 channels in float (64 in bfloat16), walked down the rows of a chunk (Chunks).
//
// Statistics: the mean of a chunk, then the sum of squares around it (the chunk comes from cache
// the second time), to `partials` in double; a second kernel merges the chunks of a channel by
// Chan's formula. Reads x once from memory.
//
// Forward: y = [relu]((x - mean)*inverse_std*weight + bias [+ residual]). Blocks walk the tensor in
// reverse, so that they begin with what the statistics read last, which is still in the cache.
// Reads x and the residual, writes y.
//
// Backward: sums of dz and dz*xhat of a chunk to `partials`; a second kernel adds the chunks up and
// makes the coefficients of dx; a third writes dresidual and dx. Reads x, dy and y twice.
#include "kernels/batch_norm/call.h"

#include "kernels/batch_norm/cuda_passes.h"

namespace basin {
namespace {

// Mean and sum of squares around it of `count` values.
struct Moments {
  double mean, squares, count;
};

__device__ Moments merge(const Moments& a, const Moments& b) {
  if (b.count == 0) return a;
  const double count = a.count + b.count, delta = b.mean - a.mean;
  return {a.mean + delta * b.count / count,
          a.squares + b.squares + delta * delta * a.count * b.count / count, count};
}

constexpr int kAtOnce = 4;  // rows that a thread asks memory for before it uses the first

template <class T>
__global__ void chunk_statistics(BatchNormStatistics<T> call) {
  constexpr int kCount = kVectorSize<T>;
  BASIN_SHARED(means, float[kTile<T>]);
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const Chunks<T> chunks(call.rows, call.channels);
  const int64_t begin = blockIdx.x * chunks.step, end = begin + chunks.rows_of(blockIdx.x);
  const auto rows = static_cast<double>(end - begin);
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;

  CompensatedSum sums[kCount];
  for (int64_t row = begin + threadIdx.y; row < end && mine.count > 0; row += kAtOnce * kDown) {
    Words words[kAtOnce] = {};
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int64_t at = row + i * kDown;
      if (at < end) words[i] = fetch(call.x + at * call.channels + mine.first, mine.count);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (row + i * kDown >= end) break;
      float x[kCount];
      unpack<T>(words[i], x);
      for (int k = 0; k < kCount; ++k) sums[k].add(x[k]);
    }
  }
  const double sum = sum_down<T>(sums);
  const auto mean = static_cast<float>(sum / rows);
  if (thread < kTile<T>) means[thread] = mean;
  __syncthreads();

  CompensatedSum centred[kCount], squares[kCount];
  for (int64_t row = begin + threadIdx.y; row < end && mine.count > 0; row += kDown) {
    float x[kCount];
    load(call.x + row * call.channels + mine.first, mine.count, x);
    for (int k = 0; k < kCount; ++k) {
      const float difference = x[k] - means[threadIdx.x * kCount + k];
      centred[k].add(difference);
      squares[k].add(difference * difference);
    }
  }
  const double centred_sum = sum_down<T>(centred), square_sum = sum_down<T>(squares);
  // `mean` is off by its rounding, which matters where it is large beside the deviation: the
  // centred values say by how much.
  const double off = centred_sum / rows;
  put_chunk<T>(call.partials, call.channels, double(mean) + off,
               max(0.0, square_sum - rows * off * off));
}

template <class T>
__global__ void merge_statistics(BatchNormStatistics<T> call) {
  const int64_t channels = call.channels;
  const int64_t channel = int64_t{blockIdx.x} * kMergeAcross + threadIdx.x;
  const Chunks<T> chunks(call.rows, channels);
  const auto moments = merge_chunks<Moments>(channel < channels ? chunks.count : 0, [&](int64_t i) {
    const double* chunk = call.partials + i * 2 * channels;
    const auto rows = static_cast<double>(chunks.rows_of(i));
    return Moments{chunk[channel], chunk[channels + channel], rows};
  });
  if (threadIdx.y != 0 || channel >= channels) return;
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

template <class T>
__global__ void batch_norm_forward(BatchNormForward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  const Normalisation<T> normalisation(call.input, mine);
  for_each_row_in_reverse(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    const Words input = fetch(call.input.x + at, mine.count);
    const Words added = call.residual ? fetch(call.residual + at, mine.count) : Words{};
    float x[kCount], residual[kCount];
    unpack<T>(input, x);
    unpack<T>(added, residual);
    for (int k = 0; k < kCount; ++k) {
      const float z = normalisation.of(k, x[k]) + residual[k];
      x[k] = call.relu && !(z > 0) ? 0 : z;
    }
    store(call.y + at, mine.count, x);
  });
}

// dz is dy, where the ReLU let it through.
struct PlainGradient {
  struct Fetched {
    Words dy, y;
  };
  template <class T>
  __device__ Fetched fetch(const BatchNormBackward<T>& call, int64_t row,
                           const Channels& mine) const {
    const int64_t at = row * call.channels + mine.first;
    return {basin::fetch(call.dy + at, mine.count),
            call.relu ? basin::fetch(call.y + at, mine.count) : Words{}};
  }
  template <class T>
  __device__ void unpack(const BatchNormBackward<T>& call, const Fetched& fetched,
                         float (&dz)[kVectorSize<T>]) const {
    basin::unpack<T>(fetched.dy, dz);
    if (!call.relu) return;
    float y[kVectorSize<T>];
    basin::unpack<T>(fetched.y, y);
    for (int k = 0; k < kVectorSize<T>; ++k) dz[k] = y[k] > 0 ? dz[k] : 0;
  }
};

template <class T>
__global__ void inverse_std(BatchNormInverseStd<T> call) {
  for_each_vector<1>(call.channels, [&](int64_t c, int) {
    call.inverse_std[c] = static_cast<float>(1.0 / sqrt(double(call.variance[c]) + call.epsilon));
  });
}

template <class T>
void launch_call(const BatchNormStatistics<T>& call, StreamHandle stream) {
  launch(chunk_statistics<T>, Chunks<T>(call.rows, call.channels).grid(), dim3(kAcross, kDown), 0,
         stream, call);
  launch(merge_statistics<T>, merge_blocks(call.channels), dim3(kMergeAcross, kMergeDown), 0,
         stream, call);
}

template <class T>
void launch_call(const BatchNormForward<T>& call, StreamHandle stream) {
  launch(batch_norm_forward<T>, dim3(row_blocks(call.rows), tiles<T>(call.channels)),
         dim3(kAcross, kDown), 0, stream, call);
}

template <class T>
void launch_call(const BatchNormBackward<T>& call, StreamHandle stream) {
  launch_backward(call, PlainGradient{}, stream);
}

template <class T>
void launch_call(const BatchNormInverseStd<T>& call, StreamHandle stream) {
  launch(inverse_std<T>, blocks_for(call.channels, 1), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(BatchNormStatistics<float>)
BASIN_DEFINE_RUN(BatchNormStatistics<Bf16>)
BASIN_DEFINE_RUN(BatchNormForward<float>)
BASIN_DEFINE_RUN(BatchNormForward<Bf16>)
BASIN_DEFINE_RUN(BatchNormBackward<float>)
BASIN_DEFINE_RUN(BatchNormBackward<Bf16>)
BASIN_DEFINE_RUN(BatchNormInverseStd<float>)

}  // namespace basin
