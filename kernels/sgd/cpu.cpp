// Stochastic gradient descent with momentum on the CPU.
#include "kernels/sgd/call.h"

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

template <class T>
void compute(const SgdStep<T>& call) {
  const SgdControl control = *call.control;
  parallel_for(call.chunk_count, [&](int64_t index) {
    const SgdChunk chunk = call.chunks[index];
    const T rate = static_cast<T>(control.learning_rate * chunk.learning_rate_factor);
    const T decay = static_cast<T>(control.weight_decay);
    const T beta = static_cast<T>(control.momentum);
    T* __restrict value = call.value + chunk.offset;
    const T* __restrict gradient = call.gradient + chunk.offset;
    T* __restrict momentum = call.momentum + chunk.offset;
#pragma omp simd
    for (int64_t i = 0; i < chunk.size; ++i) {
      const T step = beta * momentum[i] + (gradient[i] + decay * value[i]);
      momentum[i] = step;
      value[i] -= rate * step;
    }
    if (!call.copy) return;
    Bf16* __restrict copy = call.copy + chunk.offset;
    for (int64_t i = 0; i < chunk.size; ++i) copy[i] = to_bf16(static_cast<float>(value[i]));
  });
}

}  // namespace

BASIN_CPU_RUN(SgdStep<float>)
BASIN_CPU_RUN(SgdStep<double>)

}  // namespace basin::cpu
