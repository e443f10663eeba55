// Pooling on the CPU.
#include "kernels/pool/call.h"

#include <algorithm>

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"
#include "kernels/library/pool_gather.h"

namespace basin::cpu {
namespace {

template <class T>
void compute(const MaxPoolForward<T>& call) {
  const int64_t oh = call.out_height(), ow = call.out_width(), channels = call.channels;
  parallel_for(call.batch * oh, [&](int64_t row) {
    const int64_t n = row / oh, p = row % oh;
    for (int64_t q = 0; q < ow; ++q) {
      T* __restrict y = call.y + (row * ow + q) * channels;
      uint8_t* __restrict index = call.index ? call.index + (row * ow + q) * channels : nullptr;
      bool first = true;
      for (int64_t r = 0; r < 3; ++r) {
        const int64_t h = 2 * p - 1 + r;
        if (h < 0 || h >= call.height) continue;
        for (int64_t s = 0; s < 3; ++s) {
          const int64_t w = 2 * q - 1 + s;
          if (w < 0 || w >= call.width) continue;
          const T* __restrict x = call.x + ((n * call.height + h) * call.width + w) * channels;
          const auto position = static_cast<uint8_t>(3 * r + s);
          if (first) {
            std::copy(x, x + channels, y);
            if (index) std::fill(index, index + channels, position);
            first = false;
          } else if (index) {
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
              const bool larger = x[c] > y[c];
              y[c] = larger ? x[c] : y[c];
              index[c] = larger ? position : index[c];
            }
          } else {
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) y[c] = x[c] > y[c] ? x[c] : y[c];
          }
        }
      }
    }
  });
}

template <class T>
void compute(const MaxPoolBackward<T>& call) {
  const int64_t width = call.width;
  parallel_for(call.batch * call.height, [&](int64_t row) {
    gather_pooled(call, row * width, (row + 1) * width, call.dx.accumulate,
                  call.dx.to + row * width * call.channels);
  });
}

template <class T>
void compute(const AveragePoolForward<T>& call) {
  const int64_t channels = call.channels;
  parallel_for(call.batch, [&](int64_t n) {
    for (int64_t first = 0; first < channels; first += 64) {
      const int64_t width = std::min<int64_t>(64, channels - first);
      double sum[64] = {};
      for (int64_t i = 0; i < call.area; ++i) {
        const T* x = call.x + (n * call.area + i) * channels + first;
        for (int64_t c = 0; c < width; ++c) sum[c] += x[c];
      }
      T* y = call.y + n * channels + first;
      for (int64_t c = 0; c < width; ++c) y[c] = static_cast<T>(sum[c] / double(call.area));
    }
  });
}

template <class T>
void compute(const AveragePoolBackward<T>& call) {
  const int64_t channels = call.channels;
  parallel_for(call.batch, [&](int64_t n) {
    const T* __restrict dy = call.dy + n * channels;
    for (int64_t i = 0; i < call.area; ++i) {
      T* __restrict dx = call.dx.to + (n * call.area + i) * channels;
      const T factor = T(1) / static_cast<T>(call.area);
      if (call.dx.accumulate) {
        for (int64_t c = 0; c < channels; ++c) dx[c] += dy[c] * factor;
      } else {
        for (int64_t c = 0; c < channels; ++c) dx[c] = dy[c] * factor;
      }
    }
  });
}

}  // namespace

BASIN_CPU_RUN(MaxPoolForward<float>)
BASIN_CPU_RUN(MaxPoolForward<double>)
BASIN_CPU_RUN(MaxPoolBackward<float>)
BASIN_CPU_RUN(MaxPoolBackward<double>)
BASIN_CPU_RUN(AveragePoolForward<float>)
BASIN_CPU_RUN(AveragePoolForward<double>)
BASIN_CPU_RUN(AveragePoolBackward<float>)
BASIN_CPU_RUN(AveragePoolBackward<double>)

}  // namespace basin::cpu
