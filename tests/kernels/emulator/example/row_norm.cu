// The norms of rows. y[row] = sqrt(sum of x[row, :]^2), x row by row.
//
// A block takes a row, a thread every 256th vector of 16 bytes of it; the sums of the threads are
// added by block_sum, in an order that never changes. Reads x once.
#include "tests/kernels/emulator/example/row_norm.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

using example::RowNorm;

template <class T>
__global__ void row_norm(RowNorm<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const T* row = call.x + blockIdx.x * call.columns;
  CompensatedSum sum;
  for (int64_t i = threadIdx.x * kCount; i < call.columns; i += kThreads * kCount) {
    const int count = static_cast<int>(min(call.columns - i, int64_t{kCount}));
    float x[kCount];
    load(row + i, count, x);
    for (int k = 0; k < kCount; ++k) sum.add(x[k] * x[k]);  // zero from `count` on
  }
  const double total = block_sum<kThreads>(sum.value());
  if (threadIdx.x == 0) call.y[blockIdx.x] = static_cast<float>(sqrt(total));
}

template <class T>
void launch_call(const RowNorm<T>& call, StreamHandle stream) {
  launch(row_norm<T>, static_cast<unsigned>(call.rows), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(RowNorm<float>)
BASIN_DEFINE_RUN(RowNorm<Bf16>)

}  // namespace basin
