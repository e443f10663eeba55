// Batch normalisation as CUDA kernels, over the rows of a [rows, channels] tensor.
//
// A block is 8 threads along channels, each with a vector of 16 bytes, by 32 along rows: a tile of
// 32 channels in float (64 in bfloat16), walked down the rows of a chunk. Chunks depend on the
// shape alone.
//
// Statistics: the mean of a chunk, then the sum of squares around it (the chunk comes from cache
// the second time), to `partials` in double; a second kernel merges the chunks of a channel by
// Chan's formula: eight threads take every eighth chunk, and the eight are merged in order. Reads x
// once from memory.
//
// Forward: y = [relu]((x - mean)*inverse_std*weight + bias [+ residual]). Blocks walk the tensor in
// reverse, so that they begin with what the statistics read last, which is in the cache yet. Reads
// x and the residual, writes y.
//
// Backward: sums of dz and dz*xhat of a chunk to `partials`; a second kernel adds the chunks up in
// the same way; a third writes dx and dresidual. Reads x, dy and y twice, writes dx and dresidual:
// 6 passes, and 2 of y.
#include "kernels/batch_norm.h"

#include "kernels/batch_norm_passes.h"

namespace basin {
namespace {

template <class T>
__global__ void chunk_statistics(BatchNormStatistics<T> call) {
  constexpr int kCount = kVectorSize<T>;
  BASIN_SHARED(means, float[kTile<T>]);
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const int64_t begin = blockIdx.x * call.chunk_rows();
  const int64_t end = min(begin + call.chunk_rows(), call.rows);
  const auto rows = static_cast<double>(end - begin);
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;
  const int64_t channel = int64_t{blockIdx.y} * kTile<T> + thread;

  CompensatedSum sums[kCount];
  for (int64_t row = begin + threadIdx.y; row < end && mine.count > 0; row += kDown) {
    float x[kCount];
    load(call.x + row * call.channels + mine.first, mine.count, x);
    for (int k = 0; k < kCount; ++k) sums[k].add(x[k]);
  }
  const double sum = sum_down<T>(sums);
  if (thread < kTile<T>) means[thread] = static_cast<float>(sum / rows);
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
  if (thread < kTile<T> && channel < call.channels) {
    // The mean is off by its rounding, which matters where it is large beside the deviation: the
    // centred values say by how much.
    const double off = centred_sum / rows;
    double* chunk = call.partials + int64_t{blockIdx.x} * 2 * call.channels;
    chunk[channel] = double(means[thread]) + off;
    chunk[call.channels + channel] = max(0.0, square_sum - rows * off * off);
  }
}

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

template <class T>
__global__ void merge_statistics(BatchNormStatistics<T> call) {
  BASIN_SHARED(merged, Moments[kMergeDown][kMergeAcross]);
  const int64_t channel = int64_t{blockIdx.x} * kMergeAcross + threadIdx.x;
  const int64_t step = call.chunk_rows(), chunks = (call.rows + step - 1) / step;
  Moments moments{0, 0, 0};
  if (channel < call.channels) {
    for (int64_t i = threadIdx.y; i < chunks; i += kMergeDown) {
      const double* chunk = call.partials + i * 2 * call.channels;
      const int64_t rows = min(step, call.rows - i * step);
      moments = merge(moments,
                      {chunk[channel], chunk[call.channels + channel], static_cast<double>(rows)});
    }
  }
  merged[threadIdx.y][threadIdx.x] = moments;
  __syncthreads();
  if (threadIdx.y != 0 || channel >= call.channels) return;
  for (int i = 1; i < kMergeDown; ++i) moments = merge(moments, merged[i][threadIdx.x]);
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
  float mean[kCount], factor[kCount], weight[kCount], bias[kCount];
  load(call.mean + mine.first, mine.count, mean);
  load(call.inverse_std + mine.first, mine.count, factor);
  load(call.weight + mine.first, mine.count, weight);
  load(call.bias + mine.first, mine.count, bias);
  for (int k = 0; k < kCount; ++k) factor[k] *= weight[k];
  const int64_t begin = int64_t{gridDim.x - 1 - blockIdx.x} * kDown * kRowsPerThread;
  for (int i = 0; i < kRowsPerThread; ++i) {
    const int64_t row = begin + i * kDown + threadIdx.y;
    if (row >= call.rows) return;
    const int64_t at = row * call.channels + mine.first;
    float x[kCount], residual[kCount] = {};
    load(call.x + at, mine.count, x);
    if (call.residual) load(call.residual + at, mine.count, residual);
    for (int k = 0; k < kCount; ++k) {
      // The mean is taken off first: in the bias it would cancel against x after both were rounded.
      const float z = (x[k] - mean[k]) * factor[k] + bias[k] + residual[k];
      x[k] = call.relu && !(z > 0) ? 0 : z;
    }
    store(call.y + at, mine.count, x);
  }
}

// dz is dy, where the ReLU let it through.
struct PlainGradient {
  template <class T, int kCount>
  __device__ void load(const BatchNormBackward<T>& call, int64_t row, const Channels& mine,
                       float (&dz)[kCount]) const {
    const int64_t at = row * call.channels + mine.first;
    basin::load(call.dy + at, mine.count, dz);
    if (call.relu) {
      float y[kCount];
      basin::load(call.y + at, mine.count, y);
      for (int k = 0; k < kCount; ++k) dz[k] = y[k] > 0 ? dz[k] : 0;
    }
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
  launch(chunk_statistics<T>, dim3(chunks_of(call), tiles<T>(call.channels)), dim3(kAcross, kDown),
         0, stream, call);
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
  launch(chunk_gradients<T, PlainGradient>, dim3(chunks_of(call), tiles<T>(call.channels)),
         dim3(kAcross, kDown), 0, stream, call, PlainGradient{});
  launch(sum_gradients<T>, merge_blocks(2 * call.channels), dim3(kMergeAcross, kMergeDown), 0,
         stream, call);
  if (!call.dx && !call.dresidual) return;
  launch(batch_norm_backward<T, PlainGradient>,
         dim3(row_blocks(call.rows), tiles<T>(call.channels)), dim3(kAcross, kDown), 0, stream,
         call, PlainGradient{});
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
