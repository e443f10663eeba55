// Conversion between storage types as a CUDA kernel.
//
// y[i] (+)= x[i]. A thread takes vectors of 4 elements, a grid apart: 16 bytes of float, 8 of Bf16.
// Each element is written by one thread, so nothing depends on order. Reads x, writes y (reads it,
// too, where it adds): bytes() of the call.
#include "kernels/convert/call.h"

#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kCount = 4;

template <class From, class To>
__global__ void convert(Convert<From, To> call) {
  for_each_vector<kCount>(call.size, [&](int64_t first, int count) {
    float values[kCount];
    load(call.x + first, count, values);
    store_or_add(call.y, first, count, values);
  });
}

template <class From, class To>
void launch_call(const Convert<From, To>& call, StreamHandle stream) {
  launch(convert<From, To>, blocks_for(call.size, kCount), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(Convert<Bf16, float>)
BASIN_DEFINE_RUN(Convert<float, Bf16>)

}  // namespace basin
