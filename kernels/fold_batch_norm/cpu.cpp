// Batch norm folded into convolution weights on the CPU, filter by filter.
#include "kernels/fold_batch_norm/call.h"

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

void compute(const FoldBatchNorm<float>& call) {
  parallel_chunks(call.filter_count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const NormalisedFilter filter = call.filters[index];
      const float factor = call.factor(filter);
      for (int64_t i = filter.offset; i < filter.offset + filter.size; ++i) {
        call.weights[i] = factor * call.parameters[i];
      }
      call.biases[filter.bias] = call.bias(filter, factor);
    }
  });
}

}  // namespace

BASIN_CPU_RUN(FoldBatchNorm<float>)

}  // namespace basin::cpu
