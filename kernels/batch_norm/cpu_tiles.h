// Batch normalisation on the CPU: sums over the rows of a tile of channels, and the backward
// direction for a dz that comes from different places.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/batch_norm/call.h"
#include "kernels/library/workspace.h"

namespace basin::cpu {

constexpr int64_t kBlockRows = 64;  // rows summed in T before the sum moves to double

constexpr int64_t kTile = 512;  // channels worked on together: their sums stay in the cache

// Calls body(first, width) for the tiles of the channels.
template <class Body>
void for_each_tile(int64_t channels, const Body& body) {
  for (int64_t first = 0; first < channels; first += kTile) {
    body(first, std::min(kTile, channels - first));
  }
}

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
    alignas(64) T sums[kSums][kTile];
    for (int s = 0; s < kSums; ++s) std::fill_n(sums[s], width, T(0));
    const auto add_row = [&]<class V>(V, int64_t row, int64_t c) {
      V value[kSums];
      values(Load<V>{c}, row, value);
      for (int s = 0; s < kSums; ++s) {
        V sum;
        std::memcpy(&sum, sums[s] + c, sizeof(sum));
        sum += value[s];
        std::memcpy(sums[s] + c, &sum, sizeof(sum));
      }
    };
    for (int64_t row = block; row < std::min(end, block + kBlockRows); ++row) {
      int64_t c = 0;
      for (; c + kWidth <= width; c += kWidth) add_row(Vector{}, row, c);
      for (; c < width; ++c) add_row(T{}, row, c);
    }
    for (int s = 0; s < kSums; ++s) {
      for (int64_t c = 0; c < width; ++c) totals[s][c] += sums[s][c];
    }
  }
}

// Sets, or adds to, channels [0, width) of a row of a gradient: value(c).
template <class T, class Value>
void put_row(const Gradient<T>& gradient, int64_t at, int64_t width, const Value& value) {
  if (!gradient.to) return;
  T* __restrict to = gradient.to + at;
  if (gradient.accumulate) {
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) to[c] += value(c);
  } else {
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) to[c] = value(c);
  }
}

// As BatchNormBackward says, of the dy that dy_of(slot, begin, end) gives for rows [begin, end), as
// a pointer to the first of them. It is asked twice for each row; calls with one slot, below
// threads(), do not run at the same time.
template <class T, class DyOf>
void batch_norm_backward(const BatchNormBackward<T>& call, const DyOf& dy_of) {
  const BatchNormInput<T>& input = call.input;
  const int64_t channels = call.channels, rows = call.rows, step = batch_norm_chunk_rows(channels);
  const int64_t chunks = batch_norm_chunks(rows, channels);
  parallel_slots(chunks, [&](int64_t slot, int64_t index) {
    const int64_t begin = index * step, end = std::min(rows, begin + step);
    const T* chunk_dy = dy_of(slot, begin, end);
    double* chunk = call.partials + index * 2 * channels;
    for_each_tile(channels, [&](int64_t first, int64_t width) {
      const T *x = input.x + first, *dy = chunk_dy + first,
              *y = call.relu ? call.y + first : nullptr;
      const auto *mean = input.mean + first, *inverse_std = input.inverse_std + first;
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
      std::copy_n(sums[0], width, chunk + first);
      std::copy_n(sums[1], width, chunk + channels + first);
    });
  });
  double* totals = call.partials + chunks * 2 * channels;
  std::fill_n(totals, 2 * channels, 0.0);
  for (int64_t i = 0; i < chunks; ++i) {
    for (int64_t j = 0; j < 2 * channels; ++j) totals[j] += call.partials[i * 2 * channels + j];
  }
  for (int64_t c = 0; c < channels; ++c) {
    call.dbias.store(c, totals[c]);
    call.dweight.store(c, totals[channels + c]);
  }
  if (!call.dx.to && !call.dresidual.to) return;
  // dx = a*dz + b*(x - mean) + d with per-channel a, b, d. Rows are walked backwards: the end of
  // the tensors is still in the cache from the sums above.
  parallel_slots(chunks, [&](int64_t slot, int64_t index) {
    const int64_t begin = (chunks - 1 - index) * step, end = std::min(rows, begin + step);
    const T* chunk_dy = dy_of(slot, begin, end);
    for_each_tile(channels, [&](int64_t first, int64_t width) {
      T a[kTile], b[kTile], d[kTile], dz[kTile];
      for (int64_t c = 0; c < width; ++c) {
        const double mean_dz = totals[first + c] / double(rows);
        const double mean_dzx = totals[channels + first + c] / double(rows);
        const double inverse_std = input.inverse_std[first + c];
        const double factor = input.weight[first + c] * inverse_std;
        a[c] = static_cast<T>(factor);
        b[c] = static_cast<T>(-factor * inverse_std * mean_dzx);
        d[c] = static_cast<T>(-factor * mean_dz);
      }
      const auto* __restrict mean = input.mean + first;
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * channels + first;
        const T* __restrict x = input.x + at;
        const T* __restrict dy = chunk_dy + at - begin * channels;
        if (call.relu) {
          const T* __restrict y = call.y + at;
#pragma omp simd
          for (int64_t c = 0; c < width; ++c) dz[c] = y[c] > T(0) ? dy[c] : T(0);
        } else {
          std::copy_n(dy, width, dz);
        }
        put_row(call.dresidual, at, width, [&](int64_t c) { return dz[c]; });
        put_row(call.dx, at, width,
                [&](int64_t c) { return a[c] * dz[c] + (b[c] * (x[c] - mean[c]) + d[c]); });
      }
    });
  });
}

}  // namespace basin::cpu
