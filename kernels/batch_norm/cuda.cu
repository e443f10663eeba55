// Batch normalisation as CUDA kernels, over the rows of a [rows, channels] tensor.
//
// A block is 8 threads along channels, each with a vector of 16 bytes, by 32 along rows: a tile of
// 32 channels in float (64 in bfloat16), walked down the rows of a chunk. Chunks depend on the
// shape alone; they are larger than the CPU's, so that a block has enough to read
// (rows_of_chunk()).
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
//
// Where a slice of a few channels of all rows fits into the shared memory of a block, forward with
// statistics and backward are one launch instead: batch_norm_on_chip.h.
#include "kernels/batch_norm/call.h"

#include "kernels/batch_norm/cuda_on_chip.h"

namespace basin {
namespace {

template <class T>
__global__ void chunk_statistics(BatchNormStatistics<T> call) {
  constexpr int kCount = kVectorSize<T>;
  BASIN_SHARED(means, float[kTile<T>]);
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const int64_t step = rows_of_chunk<T>(call), begin = blockIdx.x * step;
  const int64_t end = min(begin + step, call.rows);
  const auto rows = static_cast<double>(end - begin);
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;
  const int64_t channel = int64_t{blockIdx.y} * kTile<T> + thread;

  CompensatedSum sums[kCount];
  for (int64_t row = begin + threadIdx.y; row < end && mine.count > 0; row += kAtOnce * kDown) {
    // All are asked for before the first is used: memory is far away.
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
    const Moments moments = moments_around(means[thread], centred_sum, square_sum, rows);
    double* chunk = call.partials + int64_t{blockIdx.x} * 2 * call.channels;
    chunk[channel] = moments.mean;
    chunk[call.channels + channel] = moments.squares;
  }
}

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
  const int64_t step = rows_of_chunk<T>(call), chunks = chunks_of<T>(call);
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
  put_statistics(call, channel, moments);
}

template <class T>
__global__ void batch_norm_forward(BatchNormForward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  const Normalisation<kCount> normalisation(call, mine);
  for_each_row_in_reverse(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    const Words input = fetch(call.x + at, mine.count);
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

template <class T>
__global__ void inverse_std(BatchNormInverseStd<T> call) {
  for_each_vector<1>(call.channels, [&](int64_t c, int) {
    call.inverse_std[c] = static_cast<float>(1.0 / sqrt(double(call.variance[c]) + call.epsilon));
  });
}

template <class T>
void launch_call(const BatchNormStatistics<T>& call, StreamHandle stream) {
  launch(chunk_statistics<T>, chunk_grid<T>(call), dim3(kAcross, kDown), 0, stream, call);
  launch(merge_statistics<T>, merge_blocks(call.channels), dim3(kMergeAcross, kMergeDown), 0,
         stream, call);
}

template <class T>
void launch_call(const BatchNormForward<T>& call, StreamHandle stream) {
  launch(batch_norm_forward<T>, dim3(row_blocks(call.rows), tiles<T>(call.channels)),
         dim3(kAcross, kDown), 0, stream, call);
}

template <class T>
void launch_call(const BatchNormTrainForward<T>& call, StreamHandle stream) {
  const SlicePlan plan = slice_plan(call.rows, 1);
  if (plan.across == 0) {
    launch_call(call.statistics(), stream);
    launch_call(call.forward(), stream);
    return;
  }
  launch(slice_forward<T>, slices<T>(call.channels, plan), plan.threads, plan.bytes, stream, call,
         plan.across);
}

template <class T>
void launch_call(const BatchNormBackward<T>& call, StreamHandle stream) {
  SlicePlan plan = slice_plan(call.rows, 2);
  if (plan.across == 0) plan = slice_plan(call.rows, 1);
  if (plan.across > 0) {
    launch(slice_backward<T>, slices<T>(call.channels, plan), plan.threads, plan.bytes, stream,
           call, plan);
    return;
  }
  launch(chunk_gradients<T, PlainGradient>, chunk_grid<T>(call), dim3(kAcross, kDown), 0, stream,
         call, PlainGradient{});
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
BASIN_DEFINE_RUN(BatchNormTrainForward<float>)
BASIN_DEFINE_RUN(BatchNormTrainForward<Bf16>)
BASIN_DEFINE_RUN(BatchNormBackward<float>)
BASIN_DEFINE_RUN(BatchNormBackward<Bf16>)
BASIN_DEFINE_RUN(BatchNormInverseStd<float>)

}  // namespace basin
