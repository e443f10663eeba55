// Fixup's elementwise step on the CPU.
#include "kernels/affine_relu/call.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

template <class T>
struct Lanes {
  static constexpr int64_t kWidth = 32 / sizeof(T);
  typedef T Vector __attribute__((vector_size(32)));
  typedef uint8_t Bytes __attribute__((vector_size(32 / sizeof(T))));
};

// 1 where `positive` says so, else 0.
template <class T>
void store_mask(uint8_t* to, bool positive) {
  *to = positive;
}
template <class T, class IntegerVector>
void store_mask(uint8_t* to, IntegerVector positive) {
  const auto bytes = __builtin_convertvector(-positive, typename Lanes<T>::Bytes);
  std::memcpy(to, &bytes, sizeof(bytes));
}

// Elements from `i` on: a vector of them, or one. Written for vectors because g++ 12 does not make
// any of a loop that compares floats and stores bytes.
template <class V, class T, bool kResidual, bool kRelu, bool kMask>
inline void forward_at(const AffineReluForward<T>& call, int64_t i, T scale, T bias, T shift) {
  V z;
  std::memcpy(&z, call.x + i, sizeof(z));
  z = scale * z + bias;
  if constexpr (kResidual) {
    V residual;
    std::memcpy(&residual, call.residual + i, sizeof(residual));
    z += residual;
  }
  const V zero{};
  if constexpr (kMask) store_mask<T>(call.mask + i, z > zero);
  if constexpr (kRelu) z = z > zero ? z : zero;
  z += shift;
  std::memcpy(call.y + i, &z, sizeof(z));
}

template <class T, bool kResidual, bool kRelu, bool kMask>
void forward(const AffineReluForward<T>& call) {
  using Vector = typename Lanes<T>::Vector;
  const T scale = call.scale ? *call.scale : T(1);
  const T bias =
      (call.bias ? *call.bias : T(0)) - (call.residual_shift ? *call.residual_shift : T(0));
  const T shift = call.shift ? *call.shift : T(0);
  parallel_chunks(call.size, AffineReluBackward<T>::kChunk, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + Lanes<T>::kWidth <= end; i += Lanes<T>::kWidth) {
      forward_at<Vector, T, kResidual, kRelu, kMask>(call, i, scale, bias, shift);
    }
    for (; i < end; ++i) forward_at<T, T, kResidual, kRelu, kMask>(call, i, scale, bias, shift);
  });
}

template <class T, bool kResidual, bool kRelu>
void forward_mask(const AffineReluForward<T>& call) {
  call.mask ? forward<T, kResidual, kRelu, true>(call) : forward<T, kResidual, kRelu, false>(call);
}

// One chunk: writes the gradients and returns sums of dz, dz*x and dy. The lanes of 512 elements
// are summed in T and then added in double, so the error stays near one rounding however large the
// tensor is.
template <class T, bool kRelu, bool kScale>
void backward_chunk(const AffineReluBackward<T>& call, int64_t begin, int64_t end, double* sums) {
  const T scale = call.scale ? *call.scale : T(1);
  const T* __restrict dy = call.dy;
  const T* __restrict x = call.x;
  const uint8_t* __restrict mask = call.mask;
  double sum_dz = 0, sum_dzx = 0, sum_dy = 0;
  for (int64_t block = begin; block < end; block += 512) {
    const int64_t stop = std::min(end, block + 512);
    T dz_lanes = 0, dzx_lanes = 0, dy_lanes = 0;
#pragma omp simd reduction(+ : dz_lanes, dzx_lanes, dy_lanes)
    for (int64_t i = block; i < stop; ++i) {
      const T dz = kRelu ? (mask[i] ? dy[i] : T(0)) : dy[i];
      dz_lanes += dz;
      dy_lanes += dy[i];
      if constexpr (kScale) dzx_lanes += dz * x[i];
    }
    sum_dz += dz_lanes;
    sum_dzx += dzx_lanes;
    sum_dy += dy_lanes;
    auto write = [&](const Gradient<T>& gradient, T factor) {
      T* __restrict out = gradient.to;
      if (!out) return;
      if (gradient.accumulate) {
#pragma omp simd
        for (int64_t i = block; i < stop; ++i) {
          out[i] += factor * (kRelu ? (mask[i] ? dy[i] : T(0)) : dy[i]);
        }
      } else {
#pragma omp simd
        for (int64_t i = block; i < stop; ++i) {
          out[i] = factor * (kRelu ? (mask[i] ? dy[i] : T(0)) : dy[i]);
        }
      }
    };
    write(call.dx, scale);
    write(call.dresidual, T(1));
  }
  sums[0] = sum_dz;
  sums[1] = sum_dzx;
  sums[2] = sum_dy;
}

template <class T>
void compute(const AffineReluForward<T>& call) {
  if (call.residual) {
    call.relu ? forward_mask<T, true, true>(call) : forward_mask<T, true, false>(call);
  } else {
    call.relu ? forward_mask<T, false, true>(call) : forward_mask<T, false, false>(call);
  }
}

template <class T>
void compute(const AffineReluBackward<T>& call) {
  constexpr int64_t kChunk = AffineReluBackward<T>::kChunk;
  parallel_chunks(call.size, kChunk, [&](int64_t begin, int64_t end) {
    double* sums = call.partials + 3 * (begin / kChunk);
    if (call.relu) {
      call.dscale.to ? backward_chunk<T, true, true>(call, begin, end, sums)
                     : backward_chunk<T, true, false>(call, begin, end, sums);
    } else {
      call.dscale.to ? backward_chunk<T, false, true>(call, begin, end, sums)
                     : backward_chunk<T, false, false>(call, begin, end, sums);
    }
  });
  double totals[3] = {0, 0, 0};
  for (int64_t i = 0; i < call.partials_size(); ++i) totals[i % 3] += call.partials[i];
  call.dbias.store(0, totals[0]);
  call.dresidual_shift.store(0, -totals[0]);
  call.dscale.store(0, totals[1]);
  call.dshift.store(0, totals[2]);
}

}  // namespace

BASIN_CPU_RUN(AffineReluForward<float>)
BASIN_CPU_RUN(AffineReluForward<double>)
BASIN_CPU_RUN(AffineReluBackward<float>)
BASIN_CPU_RUN(AffineReluBackward<double>)

}  // namespace basin::cpu
