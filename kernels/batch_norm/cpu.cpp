// Batch normalisation on the CPU. Work is cut into row chunks that fit the second-level cache and
// walked in the order of memory; chunk borders depend on the shape alone.
#include "kernels/batch_norm/call.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/parallel.h"
#include "kernels/batch_norm/cpu_tiles.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {
template <class T>
void compute(const BatchNormStatistics<T>& call) {
  using P = ParameterType<T>;
  const int64_t channels = call.channels, rows = call.rows, step = call.chunk_rows();
  parallel_chunks(rows, step, [&](int64_t begin, int64_t end) {
    double* chunk = call.partials + begin / step * 2 * channels;
    for (int64_t first = 0; first < channels; first += kTile) {
      const int64_t width = std::min(kTile, channels - first);
      const T* x = call.x + first;
      // The mean of a few rows is near enough to be taken off before squaring.
      const int64_t sample = std::min(kBlockRows, end - begin);
      const int64_t apart = (end - begin) / sample * channels;
      double sum[1][kTile] = {}, centred_sums[2][kTile] = {};
      sum_tile<T, 1>(0, sample, width, sum, [&](const auto& load, int64_t row, auto* out) {
        load(out[0], x + begin * channels + row * apart);
      });
      T mean[kTile];
      for (int64_t c = 0; c < width; ++c) {
        mean[c] = static_cast<T>(sum[0][c] / double(sample));
      }
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
    }
  });
  // The chunks' means and squares are joined in the place of the first chunk's.
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
  for (int64_t c = 0; c < channels; ++c) {
    call.mean[c] = static_cast<P>(means[c]);
    call.inverse_std[c] = static_cast<P>(1.0 / std::sqrt(squares[c] / double(rows) + call.epsilon));
    if (call.running_mean) {
      const double unbiased = squares[c] / std::max(1.0, double(rows) - 1);
      call.running_mean[c] =
          static_cast<P>((1 - call.momentum) * call.running_mean[c] + call.momentum * means[c]);
      call.running_variance[c] =
          static_cast<P>((1 - call.momentum) * call.running_variance[c] + call.momentum * unbiased);
    }
  }
}

template <class T>
void compute(const BatchNormForward<T>& call) {
  const int64_t channels = call.channels;
  const int64_t step = std::max<int64_t>(1, 16384 / channels);
  parallel_chunks(call.rows, step, [&](int64_t begin, int64_t end) {
    for (int64_t first = 0; first < channels; first += kTile) {
      const int64_t width = std::min(kTile, channels - first);
      // The mean is taken off first: folded into the bias it would cancel against x after both were
      // multiplied and rounded.
      const ParameterType<T>* __restrict mean = call.mean + first;
      const ParameterType<T>* __restrict bias = call.bias + first;
      T factor[kTile];
      for (int64_t c = 0; c < width; ++c) {
        factor[c] = call.inverse_std[first + c] * call.weight[first + c];
      }
      for (int64_t row = begin; row < end; ++row) {
        const T* __restrict x = call.x + row * channels + first;
        const T* __restrict residual =
            call.residual ? call.residual + row * channels + first : nullptr;
        T* __restrict y = call.y + row * channels + first;
        if (residual && call.relu) {
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) {
            const T z = (x[c] - mean[c]) * factor[c] + bias[c] + residual[c];
            y[c] = z > T(0) ? z : T(0);
          }
        } else if (residual) {
#pragma omp simd
          for (int64_t c = 0; c < width; ++c)
            y[c] = (x[c] - mean[c]) * factor[c] + bias[c] + residual[c];
        } else if (call.relu) {
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) {
            const T z = (x[c] - mean[c]) * factor[c] + bias[c];
            y[c] = z > T(0) ? z : T(0);
          }
        } else {
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) y[c] = (x[c] - mean[c]) * factor[c] + bias[c];
        }
      }
    }
  });
}

template <class T>
void compute(const BatchNormTrainForward<T>& call) {
  compute(call.statistics());
  compute(call.forward());
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
BASIN_CPU_RUN(BatchNormTrainForward<float>)
BASIN_CPU_RUN(BatchNormTrainForward<double>)
BASIN_CPU_RUN(BatchNormBackward<float>)
BASIN_CPU_RUN(BatchNormBackward<double>)
BASIN_CPU_RUN(BatchNormInverseStd<float>)
BASIN_CPU_RUN(BatchNormInverseStd<double>)

}  // namespace basin::cpu
