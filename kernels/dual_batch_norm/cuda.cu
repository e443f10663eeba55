// Two batch normalisations, their sum and the ReLU as CUDA kernels, over the rows of [rows,
// channels] tensors.
//
// Forward: y = relu(z of the first + z of the second), z = (x - mean)*inverse_std*weight + bias.
// The tiles of batch normalisation, in reverse behind the statistics. Reads both x, writes y.
//
// Backward: the passes of batch normalisation with three sums for each channel: of dz, which both
// have in common, and of dz*xhat of each. Chunks depend on the shape alone and are added in the
// same order every time. Reads both x, dy and y twice, writes two dx: 10 passes, where one
// normalisation after the other takes 13.
#include "kernels/dual_batch_norm/call.h"

#include "kernels/batch_norm/cuda_passes.h"

namespace basin {
namespace {

template <class T>
__global__ void dual_batch_norm_forward(DualBatchNormForward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  const Normalisation<kCount> first(call.first, mine), second(call.second, mine);
  for_each_row_in_reverse(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    const Words input = fetch(call.first.x + at, mine.count);
    const Words second_input = fetch(call.second.x + at, mine.count);
    float x[kCount], second_x[kCount];
    unpack<T>(input, x);
    unpack<T>(second_input, second_x);
    for (int k = 0; k < kCount; ++k) {
      const float z = first.of(k, x[k]) + second.of(k, second_x[k]);
      x[k] = z > 0 ? z : 0;
    }
    store(call.y + at, mine.count, x);
  });
}

template <class T>
__global__ void dual_chunk_gradients(DualBatchNormBackward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, blockIdx.y);
  const int64_t step = rows_of_chunk<T>(call), begin = blockIdx.x * step;
  const int64_t end = min(begin + step, call.rows);
  CompensatedSum sum_dz[kCount], sum_first[kCount], sum_second[kCount];
  if (mine.count > 0) {
    float mean[kCount], inverse_std[kCount], second_mean[kCount], second_inverse_std[kCount];
    load(call.first.mean + mine.first, mine.count, mean);
    load(call.first.inverse_std + mine.first, mine.count, inverse_std);
    load(call.second.mean + mine.first, mine.count, second_mean);
    load(call.second.inverse_std + mine.first, mine.count, second_inverse_std);
    for (int64_t row = begin + threadIdx.y; row < end; row += kDown) {
      const int64_t at = row * call.channels + mine.first;
      const PlainGradient source;
      const auto gradient = source.fetch(call, row, mine);
      const Words input = fetch(call.first.x + at, mine.count);
      const Words second_input = fetch(call.second.x + at, mine.count);
      float dz[kCount], x[kCount];
      source.unpack(call, gradient, dz);
      unpack<T>(input, x);
      for (int k = 0; k < kCount; ++k) {
        sum_dz[k].add(dz[k]);
        sum_first[k].add((x[k] - mean[k]) * inverse_std[k] * dz[k]);
      }
      unpack<T>(second_input, x);
      for (int k = 0; k < kCount; ++k) {
        sum_second[k].add((x[k] - second_mean[k]) * second_inverse_std[k] * dz[k]);
      }
    }
  }
  const double sums[3] = {sum_down<T>(sum_dz), sum_down<T>(sum_first), sum_down<T>(sum_second)};
  const unsigned thread = threadIdx.y * kAcross + threadIdx.x;
  const int64_t channel = int64_t{blockIdx.y} * kTile<T> + thread;
  if (thread < kTile<T> && channel < call.channels) {
    double* chunk = call.partials + int64_t{blockIdx.x} * 3 * call.channels;
    for (int i = 0; i < 3; ++i) chunk[i * call.channels + channel] = sums[i];
  }
}

// The totals come behind the chunks in `partials`.
template <class T>
__device__ double* totals(const DualBatchNormBackward<T>& call) {
  return call.partials + chunks_of<T>(call) * 3 * call.channels;
}

template <class T>
__global__ void dual_sum_gradients(DualBatchNormBackward<T> call) {
  const int64_t index = int64_t{blockIdx.x} * kMergeAcross + threadIdx.x;
  const double sum = sum_chunks(call.partials, chunks_of<T>(call), 3 * call.channels, index);
  if (threadIdx.y != 0 || index >= 3 * call.channels) return;
  totals(call)[index] = sum;
  const int64_t channel = index % call.channels;
  const NormalisedInputGradients<T>&first = call.dfirst, &second = call.dsecond;
  if (index < call.channels) {
    put_gradient(first.dbias, first.accumulate_dbias, channel, sum);
    put_gradient(second.dbias, second.accumulate_dbias, channel, sum);
  } else if (index < 2 * call.channels) {
    put_gradient(first.dweight, first.accumulate_dweight, channel, sum);
  } else {
    put_gradient(second.dweight, second.accumulate_dweight, channel, sum);
  }
}

// Of one of the two, which has sum `number` of dz*xhat.
template <class T>
__device__ InputGradient<kVectorSize<T>> input_gradient(const DualBatchNormBackward<T>& call,
                                                        const NormalisedInput<T>& input, int number,
                                                        const Channels& mine) {
  InputGradient<kVectorSize<T>> gradient;
  for (int k = 0; k < kVectorSize<T>; ++k) {
    if (k >= mine.count) break;
    const int64_t channel = mine.first + k;
    gradient.set(input, call.rows, k, channel, totals(call)[channel],
                 totals(call)[number * call.channels + channel]);
  }
  return gradient;
}

template <class T>
__global__ void dual_batch_norm_backward(DualBatchNormBackward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  const InputGradient<kCount> first = input_gradient(call, call.first, 1, mine),
                              second = input_gradient(call, call.second, 2, mine);
  for_each_row_in_reverse(call.rows, [&](int64_t row) {
    const int64_t at = row * call.channels + mine.first;
    const PlainGradient source;
    const auto gradient = source.fetch(call, row, mine);
    const Words input = call.dfirst.dx ? fetch(call.first.x + at, mine.count) : Words{};
    const Words second_input = call.dsecond.dx ? fetch(call.second.x + at, mine.count) : Words{};
    float dz[kCount], x[kCount];
    source.unpack(call, gradient, dz);
    if (call.dfirst.dx) {
      unpack<T>(input, x);
      for (int k = 0; k < kCount; ++k) x[k] = first.of(k, dz[k], x[k]);
      store_or_add(call.dfirst.dx + at, mine.count, x, call.dfirst.accumulate_dx);
    }
    if (call.dsecond.dx) {
      unpack<T>(second_input, x);
      for (int k = 0; k < kCount; ++k) x[k] = second.of(k, dz[k], x[k]);
      store_or_add(call.dsecond.dx + at, mine.count, x, call.dsecond.accumulate_dx);
    }
  });
}

template <class T>
void launch_call(const DualBatchNormForward<T>& call, StreamHandle stream) {
  launch(dual_batch_norm_forward<T>, dim3(row_blocks(call.rows), tiles<T>(call.channels)),
         dim3(kAcross, kDown), 0, stream, call);
}

template <class T>
void launch_call(const DualBatchNormBackward<T>& call, StreamHandle stream) {
  launch(dual_chunk_gradients<T>, chunk_grid<T>(call), dim3(kAcross, kDown), 0, stream, call);
  launch(dual_sum_gradients<T>, merge_blocks(3 * call.channels), dim3(kMergeAcross, kMergeDown), 0,
         stream, call);
  if (!call.dfirst.dx && !call.dsecond.dx) return;
  launch(dual_batch_norm_backward<T>, dim3(row_blocks(call.rows), tiles<T>(call.channels)),
         dim3(kAcross, kDown), 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(DualBatchNormForward<float>)
BASIN_DEFINE_RUN(DualBatchNormForward<Bf16>)
BASIN_DEFINE_RUN(DualBatchNormBackward<float>)
BASIN_DEFINE_RUN(DualBatchNormBackward<Bf16>)

}  // namespace basin
