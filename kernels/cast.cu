// Copies between element types as a CUDA kernel.
//
// A thread takes vectors of 16 bytes of the wider type, a grid apart; each element is written by
// one thread. Reads x once, writes y once.
#include "kernels/cast.h"

#include "kernels/vector.h"

namespace basin {
namespace {

// Elements of a vector: those that 16 bytes of the wider type hold.
template <class From, class To>
constexpr int kCount = kVectorSize<From> < kVectorSize<To> ? kVectorSize<From> : kVectorSize<To>;

template <class From, class To>
__global__ void cast(Cast<From, To> call) {
  for_each_vector<kCount<From, To>>(call.size, [&](int64_t first, int count) {
    float values[kCount<From, To>];
    load(call.x + first, count, values);
    store(call.y + first, count, values);
  });
}

template <class From, class To>
void launch_call(const Cast<From, To>& call, StreamHandle stream) {
  launch(cast<From, To>, blocks_for(call.size, kCount<From, To>), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(Cast<float, float>)
BASIN_DEFINE_RUN(Cast<float, Bf16>)
BASIN_DEFINE_RUN(Cast<Bf16, float>)
BASIN_DEFINE_RUN(Cast<Bf16, Bf16>)

}  // namespace basin
