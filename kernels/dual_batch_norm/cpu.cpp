// Two batch normalisations, their sum and the ReLU on the CPU. Forward in one pass, of the same
// bits as one normalisation after the other; backward one after the other, both from the ReLU's
// output, so that dz is never written.
#include "kernels/dual_batch_norm/call.h"

#include <algorithm>

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

constexpr int64_t kWidth = 64;  // channels whose factors stay in the cache

// The factors of up to kWidth channels from `first` on.
template <class T>
void factors(const NormalisedInput<T>& input, int64_t first, int64_t width, T (&factor)[kWidth]) {
  for (int64_t c = 0; c < width; ++c) {
    factor[c] = input.inverse_std[first + c] * input.weight[first + c];
  }
}

template <class T>
BatchNormBackward<T> one_of(const DualBatchNormBackward<T>& call, const NormalisedInput<T>& input,
                            const NormalisedInputGradients<T>& gradients) {
  return {input.x,
          call.y,
          call.dy,
          input.mean,
          input.inverse_std,
          input.weight,
          true,
          gradients.dx,
          nullptr,
          gradients.dweight,
          gradients.dbias,
          gradients.accumulate_dx,
          false,
          gradients.accumulate_dweight,
          gradients.accumulate_dbias,
          call.partials,
          call.rows,
          call.channels};
}

template <class T>
void compute(const DualBatchNormForward<T>& call) {
  const int64_t channels = call.channels;
  parallel_chunks(
      call.rows, std::max<int64_t>(1, 16384 / channels), [&](int64_t begin, int64_t end) {
        for (int64_t first = 0; first < channels; first += kWidth) {
          const int64_t width = std::min(kWidth, channels - first);
          T factor[kWidth], second_factor[kWidth];
          factors(call.first, first, width, factor);
          factors(call.second, first, width, second_factor);
          const ParameterType<T>* __restrict mean = call.first.mean + first;
          const ParameterType<T>* __restrict bias = call.first.bias + first;
          const ParameterType<T>* __restrict second_mean = call.second.mean + first;
          const ParameterType<T>* __restrict second_bias = call.second.bias + first;
          for (int64_t row = begin; row < end; ++row) {
            const T* __restrict x = call.first.x + row * channels + first;
            const T* __restrict second_x = call.second.x + row * channels + first;
            T* __restrict y = call.y + row * channels + first;
#pragma omp simd
            for (int64_t c = 0; c < width; ++c) {
              const T shortcut = (second_x[c] - second_mean[c]) * second_factor[c] + second_bias[c];
              const T z = (x[c] - mean[c]) * factor[c] + bias[c] + shortcut;
              y[c] = z > T(0) ? z : T(0);
            }
          }
        }
      });
}

template <class T>
void compute(const DualBatchNormBackward<T>& call) {
  run(one_of(call, call.first, call.dfirst));
  run(one_of(call, call.second, call.dsecond));
}

}  // namespace

BASIN_CPU_RUN(DualBatchNormForward<float>)
BASIN_CPU_RUN(DualBatchNormForward<double>)
BASIN_CPU_RUN(DualBatchNormBackward<float>)
BASIN_CPU_RUN(DualBatchNormBackward<double>)

}  // namespace basin::cpu
