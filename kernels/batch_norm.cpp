// Batch normalisation on the CPU. Work is cut into row chunks that fit the second-level cache and
// walked in the order of memory; chunk borders depend on the shape alone.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/parallel.h"

namespace basin::cpu {
namespace {

constexpr int64_t kBlockRows = 64;  // rows summed in T before the sum moves to double

constexpr int64_t kTile = 512;  // channels worked on together: their sums stay in the cache

template <class T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(32)));
  static constexpr int64_t kWidth = 32 / sizeof(T);
};

// Reads one vector, or one channel at the ragged end, from a row that begins at `row`.
template <class V>
struct Load {
  int64_t lane;
  template <class T>
  void operator()(V& value, const T* row) const {
    std::memcpy(&value, row + lane, sizeof(V));
  }
};

// Adds up kSums values per element over rows [begin, end) for each of the `width` channels of a
// tile, into doubles. values(load, row, out) computes them, for V = a vector or T, from what
// load(v, pointer) reads.
template <class T, int kSums, class F>
void sum_tile(int64_t begin, int64_t end, int64_t width, double (*totals)[kTile], const F& values) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int64_t kWidth = Lanes<T>::kWidth;
  for (int64_t block = begin; block < end; block += kBlockRows) {
    const int64_t stop = std::min(end, block + kBlockRows);
    alignas(64) T sums[kSums][kTile];
    for (int s = 0; s < kSums; ++s) std::fill_n(sums[s], width, T(0));
    for (int64_t row = block; row < stop; ++row) {
      int64_t c = 0;
      for (; c + kWidth <= width; c += kWidth) {
        Vector value[kSums];
        values(Load<Vector>{c}, row, value);
        for (int s = 0; s < kSums; ++s) {
          Vector sum;
          std::memcpy(&sum, sums[s] + c, sizeof(sum));
          sum += value[s];
          std::memcpy(sums[s] + c, &sum, sizeof(sum));
        }
      }
      for (; c < width; ++c) {
        T value[kSums];
        values(Load<T>{c}, row, value);
        for (int s = 0; s < kSums; ++s) sums[s][c] += value[s];
      }
    }
    for (int s = 0; s < kSums; ++s) {
      for (int64_t c = 0; c < width; ++c) totals[s][c] += sums[s][c];
    }
  }
}

}  // namespace

template <class T>
void run(const BatchNormStatistics<T>& call) {
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
void run(const BatchNormForward<T>& call) {
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
void run(const BatchNormTrainForward<T>& call) {
  run(call.statistics());
  run(call.forward());
}

template <class T>
void run(const BatchNormBackward<T>& call) {
  using P = ParameterType<T>;
  const int64_t channels = call.channels, rows = call.rows, step = call.chunk_rows();
  const int64_t chunks = (rows + step - 1) / step;
  parallel_chunks(rows, step, [&](int64_t begin, int64_t end) {
    double* chunk = call.partials + begin / step * 2 * channels;
    for (int64_t first = 0; first < channels; first += kTile) {
      const int64_t width = std::min(kTile, channels - first);
      const T *x = call.x + first, *dy = call.dy + first, *y = call.relu ? call.y + first : nullptr;
      const P *mean = call.mean + first, *inverse_std = call.inverse_std + first;
      double sums[2][kTile] = {};
      sum_tile<T, 2>(begin, end, width, sums, [&](const auto& load, int64_t row, auto* out) {
        const int64_t at = row * channels;
        auto &dz = out[0], &dzx = out[1];
        load(dz, dy + at);
        auto other = dz;
        if (y) {
          load(other, y + at);
          const auto zero = decltype(+dz){};
          dz = other > zero ? dz : zero;
        }
        load(dzx, x + at);
        load(other, mean);
        dzx -= other;
        load(other, inverse_std);
        dzx *= other;
        dzx *= dz;
      });
      for (int64_t c = 0; c < width; ++c) {
        chunk[first + c] = sums[0][c];
        chunk[channels + first + c] = sums[1][c];
      }
    }
  });
  double* totals = call.partials + chunks * 2 * channels;
  std::fill(totals, totals + 2 * channels, 0.0);
  for (int64_t i = 0; i < chunks; ++i) {
    for (int64_t j = 0; j < 2 * channels; ++j) totals[j] += call.partials[i * 2 * channels + j];
  }
  for (int64_t c = 0; c < channels; ++c) {
    if (call.dbias) {
      call.dbias[c] = static_cast<P>((call.accumulate_dbias ? call.dbias[c] : 0.0) + totals[c]);
    }
    if (call.dweight) {
      call.dweight[c] =
          static_cast<P>((call.accumulate_dweight ? call.dweight[c] : 0.0) + totals[channels + c]);
    }
  }
  if (!call.dx && !call.dresidual) return;
  // dx = a*dz + b*(x - mean) + d with per-channel a, b, d. Rows are walked backwards: the end of
  // the tensors is still in the cache from the sums above.
  parallel_for(chunks, [&](int64_t index) {
    const int64_t begin = (chunks - 1 - index) * step, end = std::min(rows, begin + step);
    for (int64_t first = 0; first < channels; first += kTile) {
      const int64_t width = std::min(kTile, channels - first);
      T a[kTile], b[kTile], d[kTile];
      for (int64_t c = 0; c < width; ++c) {
        const double mean_dz = totals[first + c] / double(rows);
        const double mean_dzx = totals[channels + first + c] / double(rows);
        const double inverse_std = call.inverse_std[first + c];
        const double factor = call.weight[first + c] * inverse_std;
        a[c] = static_cast<T>(factor);
        b[c] = static_cast<T>(-factor * inverse_std * mean_dzx);
        d[c] = static_cast<T>(-factor * mean_dz);
      }
      const P* __restrict mean = call.mean + first;
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * channels + first;
        const T* __restrict x = call.x + at;
        const T* __restrict dy = call.dy + at;
        const T* __restrict y = call.relu ? call.y + at : nullptr;
        T dz[kTile];
        if (y) {
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) dz[c] = y[c] > T(0) ? dy[c] : T(0);
        } else {
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) dz[c] = dy[c];
        }
        if (call.dresidual) {
          T* __restrict out = call.dresidual + at;
          if (call.accumulate_dresidual) {
#pragma omp simd
            for (int64_t c = 0; c < width; ++c) out[c] += dz[c];
          } else {
#pragma omp simd
            for (int64_t c = 0; c < width; ++c) out[c] = dz[c];
          }
        }
        if (call.dx) {
          T* __restrict out = call.dx + at;
          if (call.accumulate_dx) {
#pragma omp simd
            for (int64_t c = 0; c < width; ++c)
              out[c] += a[c] * dz[c] + (b[c] * (x[c] - mean[c]) + d[c]);
          } else {
#pragma omp simd
            for (int64_t c = 0; c < width; ++c)
              out[c] = a[c] * dz[c] + (b[c] * (x[c] - mean[c]) + d[c]);
          }
        }
      }
    }
  });
}

template <class T>
void run(const BatchNormInverseStd<T>& call) {
  for (int64_t c = 0; c < call.channels; ++c) {
    call.inverse_std[c] =
        static_cast<ParameterType<T>>(1.0 / std::sqrt(double(call.variance[c]) + call.epsilon));
  }
}

template void run(const BatchNormStatistics<float>&);
template void run(const BatchNormStatistics<double>&);
template void run(const BatchNormForward<float>&);
template void run(const BatchNormForward<double>&);
template void run(const BatchNormTrainForward<float>&);
template void run(const BatchNormTrainForward<double>&);
template void run(const BatchNormBackward<float>&);
template void run(const BatchNormBackward<double>&);
template void run(const BatchNormInverseStd<float>&);
template void run(const BatchNormInverseStd<double>&);

}  // namespace basin::cpu
