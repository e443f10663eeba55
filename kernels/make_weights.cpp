// The weights of an evaluation on the CPU, row by row.
#include "kernels/make_weights.h"

#include "kernels/parallel.h"

namespace basin::cpu {

template <class T>
void run(const MakeWeights<T>& call) {
  parallel_for(call.row_count, [&](int64_t index) {
    const WeightRow row = call.rows[index];
    const float factor = factor_of(call, row);
    for (int64_t place = row.offset; place < row.offset + row.size; ++place) {
      call.weights[place] = from_float<T>(factor * parameter_of(call, place));
    }
    if (row.bias >= 0) call.biases[row.bias] = bias_of(call, row, factor);
  });
}

template void run(const MakeWeights<float>&);
template void run(const MakeWeights<Bf16>&);

}  // namespace basin::cpu
