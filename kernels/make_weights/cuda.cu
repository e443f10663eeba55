// The weights of an evaluation as a CUDA kernel.
//
// weights = factor * ((1-t)*a + t*b + sigma*noise), the factor that of the row's scale or of its
// batch norm. A block of 128 threads takes a row of the table, a thread vectors of 4 elements of
// it; each thread works the factor out for itself, and the first one writes the bias. Noise is a
// function of the place, so nothing depends on order. Reads a and b and the table once, writes the
// weights once.
#include "kernels/make_weights/call.h"

#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kRowThreads = 128;

template <class T>
__global__ void make_weights(MakeWeights<T> call) {
  constexpr int kCount = kVectorSize<float>;
  const WeightRow row = call.rows[blockIdx.x];
  const float factor = factor_of(call, row);
  for (int64_t i = threadIdx.x * kCount; i < row.size; i += kRowThreads * kCount) {
    const int count = static_cast<int>(row.size - i < kCount ? row.size - i : kCount);
    const int64_t first = row.offset + i;
    float a[kCount], b[kCount];
    load(call.a + first, count, a);
    load(call.b + first, count, b);
    for (int k = 0; k < kCount; ++k) {
      a[k] = factor * with_noise(call, first + k, on_line(a[k], b[k], call.t));
    }
    store(call.weights + first, count, a);
  }
  if (threadIdx.x == 0 && row.bias >= 0) call.biases[row.bias] = bias_of(call, row, factor);
}

template <class T>
void launch_call(const MakeWeights<T>& call, StreamHandle stream) {
  if (call.row_count == 0) return;
  launch(make_weights<T>, static_cast<unsigned>(call.row_count), kRowThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(MakeWeights<float>)
BASIN_DEFINE_RUN(MakeWeights<Bf16>)

}  // namespace basin
