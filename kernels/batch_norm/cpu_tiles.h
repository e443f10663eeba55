// What the CPU's calls of batch normalisation share: sums over the rows of a tile of channels, and
// the backward direction for gradients that come from different places.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/batch_norm/call.h"
#include "kernels/library/workspace.h"

namespace basin::cpu {

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

// As BatchNormBackward says, of the gradient that gradient(slot, begin, end) gives for rows
// [begin, end) in place of dy, as a pointer to the first of them. It is asked twice for each row;
// calls with one slot, below threads(), do not run at the same time.
template <class T, class Gradient>
void batch_norm_backward(const BatchNormBackward<T>& call, const Gradient& gradient) {
  using P = ParameterType<T>;
  const int64_t channels = call.channels, rows = call.rows, step = call.chunk_rows();
  const int64_t chunks = (rows + step - 1) / step;
  parallel_slots(chunks, [&](int64_t slot, int64_t index) {
    const int64_t begin = index * step, end = std::min(rows, begin + step);
    const T* chunk_dy = gradient(slot, begin, end);
    double* chunk = call.partials + index * 2 * channels;
    for (int64_t first = 0; first < channels; first += kTile) {
      const int64_t width = std::min(kTile, channels - first);
      const T *x = call.x + first, *dy = chunk_dy + first,
              *y = call.relu ? call.y + first : nullptr;
      const P *mean = call.mean + first, *inverse_std = call.inverse_std + first;
      double sums[2][kTile] = {};
      sum_tile<T, 2>(begin, end, width, sums, [&](const auto& load, int64_t row, auto* out) {
        const int64_t at = row * channels;
        auto &dz = out[0], &dzx = out[1];
        load(dz, dy + at - begin * channels);
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
  parallel_slots(chunks, [&](int64_t slot, int64_t index) {
    const int64_t begin = (chunks - 1 - index) * step, end = std::min(rows, begin + step);
    const T* chunk_dy = gradient(slot, begin, end);
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
        const T* __restrict dy = chunk_dy + at - begin * channels;
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

}  // namespace basin::cpu
