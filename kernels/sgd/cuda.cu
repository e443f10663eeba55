// Stochastic gradient descent with momentum as a CUDA kernel.
//
// momentum = m*momentum + (gradient + decay*value); value -= rate*momentum. A block takes a chunk
// of the table, a thread vectors of 4 elements of it; each element belongs to one thread. Rates are
// read from memory, so a captured launch follows them. Reads value, gradient and momentum, writes
// value and momentum, and the copy where there is one: 5 passes, and 2 bytes an element.
#include "kernels/sgd/call.h"

#include "kernels/library/vector.h"

namespace basin {
namespace {

__global__ void sgd_step(SgdStep<float> call) {
  constexpr int kCount = kVectorSize<float>;
  const SgdChunk chunk = call.chunks[blockIdx.x];
  const SgdControl control = *call.control;
  const auto rate = static_cast<float>(control.learning_rate * chunk.learning_rate_factor);
  const auto decay = static_cast<float>(control.weight_decay);
  const auto beta = static_cast<float>(control.momentum);
  for (int64_t i = threadIdx.x * kCount; i < chunk.size; i += kThreads * kCount) {
    const int count = static_cast<int>(chunk.size - i < kCount ? chunk.size - i : kCount);
    const int64_t first = chunk.offset + i;
    float value[kCount], gradient[kCount], momentum[kCount];
    load(call.value + first, count, value);
    load(call.gradient + first, count, gradient);
    load(call.momentum + first, count, momentum);
    for (int k = 0; k < kCount; ++k) {
      momentum[k] = beta * momentum[k] + (gradient[k] + decay * value[k]);
      value[k] -= rate * momentum[k];
    }
    store(call.momentum + first, count, momentum);
    store(call.value + first, count, value);
    if (call.copy) store(call.copy + first, count, value);
  }
}

void launch_call(const SgdStep<float>& call, StreamHandle stream) {
  if (call.chunk_count == 0) return;
  launch(sgd_step, static_cast<unsigned>(call.chunk_count), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(SgdStep<float>)

}  // namespace basin
