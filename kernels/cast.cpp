// Copies between element types on the CPU.
#include "kernels/cast.h"

#include "kernels/parallel.h"

namespace basin::cpu {

template <class From, class To>
void run(const Cast<From, To>& call) {
  parallel_chunks(call.size, 32768, [&](int64_t begin, int64_t end) {
    const From* __restrict x = call.x;
    To* __restrict y = call.y;
    for (int64_t i = begin; i < end; ++i) y[i] = from_float<To>(to_float(x[i]));
  });
}

template void run(const Cast<float, float>&);
template void run(const Cast<float, Bf16>&);
template void run(const Cast<Bf16, float>&);
template void run(const Cast<Bf16, Bf16>&);

}  // namespace basin::cpu
