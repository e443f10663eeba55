// Matrix product on the CPU. Each block of C is computed by one thread, over k in order, so the
// bits do not depend on the number of threads.
#include "kernels/gemm/call.h"

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"
#include "kernels/library/micro_kernel.h"

namespace basin::cpu {

template <>
void run(const Gemm<double>& call) {
  parallel_for(call.m, [&](int64_t i) {
    for (int64_t j = 0; j < call.n; ++j) {
      double sum = call.accumulate ? call.c[i * call.n + j] : 0;
      for (int64_t k = 0; k < call.k; ++k) {
        sum += call.a[call.transpose_a ? k * call.m + i : i * call.k + k] *
               call.b[call.transpose_b ? j * call.k + k : k * call.n + j];
      }
      call.c[i * call.n + j] = sum;
    }
  });
}

template <>
void run(const Gemm<float>& call) {
  // A block of C and the packed pieces of A and B that go into it fit the second-level cache.
  constexpr int64_t kRowBlock = 96, kColumnBlock = 64, kDepthBlock = 256;
  static_assert(kRowBlock % kBlockRows == 0 && kColumnBlock % kPanelWidth == 0);
  const int64_t row_blocks = (call.m + kRowBlock - 1) / kRowBlock;
  const int64_t column_blocks = (call.n + kColumnBlock - 1) / kColumnBlock;
  parallel_for(row_blocks * column_blocks, [&](int64_t block) {
    const int64_t i0 = block / column_blocks * kRowBlock;
    const int64_t j0 = block % column_blocks * kColumnBlock;
    const int64_t rows = std::min(kRowBlock, call.m - i0);
    const int64_t columns = std::min(kColumnBlock, call.n - j0);
    alignas(64) float packed_a[kRowBlock * kDepthBlock];
    alignas(64) float packed_b[kColumnBlock * kDepthBlock];
    const float* a[kRowBlock];
    float* out[kRowBlock];
    for (int64_t i = 0; i < rows; ++i) out[i] = call.c + (i0 + i) * call.n + j0;
    if (call.k == 0 && !call.accumulate) {
      for (int64_t i = 0; i < rows; ++i) std::fill_n(out[i], columns, 0.0f);
    }
    for (int64_t k0 = 0; k0 < call.k; k0 += kDepthBlock) {
      const int64_t depth = std::min(kDepthBlock, call.k - k0);
      const bool accumulate = call.accumulate || k0 > 0;
      if (call.transpose_b) {
        pack_panels_from_columns(depth, columns, call.b + j0 * call.k + k0, call.k, packed_b);
      } else {
        pack_panels_from_rows(depth, columns, call.b + k0 * call.n + j0, call.n, packed_b);
      }
      if (call.transpose_a) {
        pack_interleaved(
            rows, depth,
            [from = call.a + k0 * call.m + i0, step = call.m](int64_t k) {
              return from + k * step;
            },
            packed_a);
        for (int64_t i = 0; i < rows; ++i) a[i] = packed_a + i / kBlockRows * kBlockRows * depth;
        multiply_panels<true>(rows, {a, 0, depth, 1, kBlockRows}, packed_b, depth, 0, columns, out,
                              accumulate);
      } else {
        for (int64_t i = 0; i < rows; ++i) a[i] = call.a + (i0 + i) * call.k + k0;
        multiply_panels<false>(rows, {a, 0, depth, 1, 0}, packed_b, depth, 0, columns, out,
                               accumulate);
      }
    }
  });
}

}  // namespace basin::cpu
