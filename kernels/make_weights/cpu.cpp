// The weights of an evaluation on the CPU, row by row.
#include "kernels/make_weights/call.h"

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

template <class T>
void compute(const MakeWeights<T>& call) {
  parallel_chunks(call.row_count, 16, [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; ++index) {
      const WeightRow row = call.rows[index];
      const float factor = factor_of(call, row);
      const int64_t end = row.offset + row.size;
      if (call.a == call.b && (end <= call.noise_begin || row.offset >= call.noise_end)) {
        for (int64_t place = row.offset; place < end; ++place) {  // vectors
          call.weights[place] = from_float<T>(factor * call.a[place]);
        }
      } else {
        for (int64_t place = row.offset; place < end; ++place) {
          call.weights[place] = from_float<T>(factor * parameter_of(call, place));
        }
      }
      if (row.bias >= 0) call.biases[row.bias] = bias_of(call, row, factor);
    }
  });
}

}  // namespace

BASIN_CPU_RUN(MakeWeights<float>)
BASIN_CPU_RUN(MakeWeights<Bf16>)

}  // namespace basin::cpu
