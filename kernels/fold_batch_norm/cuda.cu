// Batch norm folded into convolution weights as a CUDA kernel.
//
// weights = factor * parameters, with the factor of the filter's batch norm. A block of 128 threads
// takes a filter, a thread vectors of 4 elements of it. Each thread computes the factor itself; the
// first one writes the bias. Reads parameters and the table once, writes the weights once.
#include "kernels/fold_batch_norm/call.h"

#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kFilterThreads = 128;

template <class T>
__global__ void fold_batch_norm(FoldBatchNorm<T> call) {
  constexpr int kCount = kVectorSize<float>;
  const NormalisedFilter filter = call.filters[blockIdx.x];
  const float factor = call.factor(filter);
  for (int64_t i = threadIdx.x * kCount; i < filter.size; i += kFilterThreads * kCount) {
    const int count = static_cast<int>(filter.size - i < kCount ? filter.size - i : kCount);
    float values[kCount];
    load(call.parameters + filter.offset + i, count, values);
    for (int k = 0; k < kCount; ++k) values[k] *= factor;
    store(call.weights + filter.offset + i, count, values);
  }
  if (threadIdx.x == 0) call.biases[filter.bias] = call.bias(filter, factor);
}

template <class T>
void launch_call(const FoldBatchNorm<T>& call, StreamHandle stream) {
  if (call.filter_count == 0) return;
  launch(fold_batch_norm<T>, static_cast<unsigned>(call.filter_count), kFilterThreads, 0, stream,
         call);
}

}  // namespace

BASIN_DEFINE_RUN(FoldBatchNorm<float>)
BASIN_DEFINE_RUN(FoldBatchNorm<Bf16>)

}  // namespace basin
