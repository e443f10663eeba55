// Elementwise calls on the CPU.
#include "kernels/elementwise/call.h"

#include <algorithm>

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

constexpr int64_t kGrain = 32768;

template <class T>
void compute(const Fill<T>& call) {
  std::fill(call.y, call.y + call.size, call.value);
}

template <class T>
void compute(const Add<T>& call) {
  parallel_chunks(call.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) call.y[i] = call.a[i] + call.b[i];
  });
}

template <class T>
void compute(const Scale<T>& call) {
  const T factor = call.factor ? *call.factor : T(1);
  parallel_chunks(call.size, kGrain, [&](int64_t begin, int64_t end) {
    const T* __restrict x = call.x;
    T* __restrict y = call.y.to;
    if (call.y.accumulate) {
      for (int64_t i = begin; i < end; ++i) y[i] += factor * x[i];
    } else {
      for (int64_t i = begin; i < end; ++i) y[i] = factor * x[i];
    }
  });
}

template <class T>
void compute(const AddBias<T>& call) {
  const int64_t step = std::max<int64_t>(1, kGrain / call.columns);
  parallel_chunks(call.rows, step, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x = call.x + row * call.columns;
      T* y = call.y + row * call.columns;
      if (call.residual) {
        const T* residual = call.residual + row * call.columns;
#pragma omp simd
        for (int64_t c = 0; c < call.columns; ++c) y[c] = x[c] + call.bias[c] + residual[c];
      } else {
#pragma omp simd
        for (int64_t c = 0; c < call.columns; ++c) y[c] = x[c] + call.bias[c];
      }
      if (call.relu) {
#pragma omp simd
        for (int64_t c = 0; c < call.columns; ++c) y[c] = y[c] > 0 ? y[c] : 0;
      }
    }
  });
}

template <class T>
void compute(const ColumnSum<T>& call) {
  for (int64_t first = 0; first < call.columns; first += 64) {
    const int64_t width = std::min<int64_t>(64, call.columns - first);
    double sum[64] = {};
    for (int64_t row = 0; row < call.rows; ++row) {
      const T* x = call.x + row * call.columns + first;
      for (int64_t c = 0; c < width; ++c) sum[c] += x[c];
    }
    for (int64_t c = 0; c < width; ++c) call.y.store(first + c, sum[c]);
  }
}

}  // namespace

#define BASIN_INSTANTIATE(T) \
  BASIN_CPU_RUN(Fill<T>)     \
  BASIN_CPU_RUN(Add<T>)      \
  BASIN_CPU_RUN(Scale<T>)    \
  BASIN_CPU_RUN(AddBias<T>)  \
  BASIN_CPU_RUN(ColumnSum<T>)
BASIN_INSTANTIATE(float)
BASIN_INSTANTIATE(double)
#undef BASIN_INSTANTIATE

}  // namespace basin::cpu
