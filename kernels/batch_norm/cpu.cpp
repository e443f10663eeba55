// Batch normalisation on the CPU. Work is cut into row chunks that fit the second-level cache and
// walked in the order of memory; chunk borders depend on the shape alone.
#include <cmath>

#include "kernels/base/parallel.h"
#include "kernels/batch_norm/cpu_tiles.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

template <class T>
void compute(const BatchNormStatistics<T>& call) {
  const int64_t channels = call.channels, rows = call.rows, step = batch_norm_chunk_rows(channels);
  parallel_chunks(rows, step, [&](int64_t begin, int64_t end) {
    double* chunk = call.partials + begin / step * 2 * channels;
    for_each_tile(channels, [&](int64_t first, int64_t width) {
      const T* x = call.x + first;
      // The mean of a few rows is near enough to be taken off before squaring.
      const int64_t sample = std::min(kBlockRows, end - begin);
      const int64_t apart = (end - begin) / sample * channels;
      double sum[1][kTile] = {}, centred_sums[2][kTile] = {};
      sum_tile<T, 1>(0, sample, width, sum, [&](const auto& load, int64_t row, auto* out) {
        load(out[0], x + begin * channels + row * apart);
      });
      T mean[kTile];
      for (int64_t c = 0; c < width; ++c) mean[c] = static_cast<T>(sum[0][c] / double(sample));
      sum_tile<T, 2>(begin, end, width, centred_sums,
                     [&](const auto& load, int64_t row, auto* out) {
                       load(out[0], x + row * channels);
                       load(out[1], mean);
                       out[0] -= out[1];
                       out[1] = out[0] * out[0];
                     });
      for (int64_t c = 0; c < width; ++c) {
        // The centred values say by how much `mean` is off.
        const double off = centred_sums[0][c] / double(end - begin);
        chunk[first + c] = double(mean[c]) + off;
        chunk[channels + first + c] =
            std::max(0.0, centred_sums[1][c] - double(end - begin) * off * off);
      }
    });
  });
  // The chunks' means and squares are merged into those of the first.
  double* means = call.partials;
  double* squares = call.partials + channels;
  for (int64_t begin = step; begin < rows; begin += step) {
    const double* chunk = call.partials + begin / step * 2 * channels;
    const double count = static_cast<double>(begin);
    const double size = static_cast<double>(std::min(rows, begin + step) - begin);
    const double share = size / (count + size);
    for (int64_t c = 0; c < channels; ++c) {
      const double delta = chunk[c] - means[c];
      squares[c] += chunk[channels + c] + delta * delta * count * share;
      means[c] += delta * share;
    }
  }
  using P = ParameterType<T>;
  for (int64_t c = 0; c < channels; ++c) {
    call.mean[c] = static_cast<P>(means[c]);
    call.inverse_std[c] = static_cast<P>(1.0 / std::sqrt(squares[c] / double(rows) + call.epsilon));
    if (call.running_mean) {
      const double unbiased = squares[c] / std::max(1.0, double(rows) - 1), m = call.momentum;
      call.running_mean[c] = static_cast<P>((1 - m) * call.running_mean[c] + m * means[c]);
      call.running_variance[c] = static_cast<P>((1 - m) * call.running_variance[c] + m * unbiased);
    }
  }
}

template <class T>
void compute(const BatchNormForward<T>& call) {
  const BatchNormInput<T>& input = call.input;
  const int64_t channels = call.channels;
  parallel_chunks(call.rows, batch_norm_chunk_rows(channels), [&](int64_t begin, int64_t end) {
    for_each_tile(channels, [&](int64_t first, int64_t width) {
      // The mean is taken off first: folded into the bias it would cancel against x after both were
      // multiplied and rounded.
      const auto* __restrict mean = input.mean + first;
      const auto* __restrict bias = input.bias + first;
      T factor[kTile];
      for (int64_t c = 0; c < width; ++c) {
        factor[c] = input.inverse_std[first + c] * input.weight[first + c];
      }
      const auto normalise = [&]<bool kResidual, bool kRelu>() {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t at = row * channels + first;
          const T* __restrict x = input.x + at;
          const T* __restrict residual = call.residual + (kResidual ? at : 0);
          T* __restrict y = call.y + at;
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) {
            T z = (x[c] - mean[c]) * factor[c] + bias[c];
            if constexpr (kResidual) z += residual[c];
            y[c] = !kRelu || z > T(0) ? z : T(0);
          }
        }
      };
      if (call.residual) {
        call.relu ? normalise.template operator()<true, true>()
                  : normalise.template operator()<true, false>();
      } else {
        call.relu ? normalise.template operator()<false, true>()
                  : normalise.template operator()<false, false>();
      }
    });
  });
}

template <class T>
void compute(const BatchNormBackward<T>& call) {
  batch_norm_backward(
      call, [&](int64_t, int64_t begin, int64_t) { return call.dy + begin * call.channels; });
}

template <class T>
void compute(const BatchNormInverseStd<T>& call) {
  for (int64_t c = 0; c < call.channels; ++c) {
    call.inverse_std[c] =
        static_cast<ParameterType<T>>(1.0 / std::sqrt(double(call.variance[c]) + call.epsilon));
  }
}

}  // namespace

BASIN_CPU_RUN(BatchNormStatistics<float>)
BASIN_CPU_RUN(BatchNormStatistics<double>)
BASIN_CPU_RUN(BatchNormForward<float>)
BASIN_CPU_RUN(BatchNormForward<double>)
BASIN_CPU_RUN(BatchNormBackward<float>)
BASIN_CPU_RUN(BatchNormBackward<double>)
BASIN_CPU_RUN(BatchNormInverseStd<float>)
BASIN_CPU_RUN(BatchNormInverseStd<double>)

}  // namespace basin::cpu
