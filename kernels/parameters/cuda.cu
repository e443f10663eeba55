// The calls on all parameters as CUDA kernels.
//
// Interpolation: a thread takes vectors of 16 bytes, a grid apart; noise: single elements. Each
// element is written by one thread, so nothing depends on order.
//
// Squared distances: one block for each segment; its threads' sums are added by block_sum. Reads a
// and b once.
#include "kernels/parameters/call.h"

#include "kernels/base/random.h"
#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

__global__ void lerp(Lerp<float> call) {
  constexpr int kCount = kVectorSize<float>;
  const auto t = static_cast<float>(call.t);
  for_each_vector<kCount>(call.size, [&](int64_t first, int count) {
    float a[kCount], b[kCount];
    load(call.a + first, count, a);
    load(call.b + first, count, b);
    for (int k = 0; k < kCount; ++k) {
      if (call.t == 1) {
        a[k] = b[k];
      } else if (call.t != 0 && a[k] != b[k]) {
        a[k] = a[k] + t * (b[k] - a[k]);
      }
    }
    store(call.y + first, count, a);
  });
}

__global__ void segmented_squared_distance(SegmentedSquaredDistance<float> call) {
  const Segment segment = call.segments[blockIdx.x];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < segment.size; i += kThreads) {
    const int64_t at = segment.offset + i;
    const double difference = double(call.a[at]) - (call.b ? double(call.b[at]) : 0.0);
    sum += difference * difference;
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) call.sums[blockIdx.x] = sum;
}

__global__ void add_noise(AddNoise<float> call) {
  for_each_vector<1>(call.size, [&](int64_t i, int) {
    RandomStream random(call.seed, RandomPurpose::kNoise, call.draw,
                        static_cast<uint32_t>(call.offset + i));
    call.y[i] = static_cast<float>(call.y[i] + call.sigma * random.normal());
  });
}

void launch_call(const Lerp<float>& call, StreamHandle stream) {
  launch(lerp, blocks_for(call.size, kVectorSize<float>), kThreads, 0, stream, call);
}
void launch_call(const SegmentedSquaredDistance<float>& call, StreamHandle stream) {
  if (call.segment_count == 0) return;
  launch(segmented_squared_distance, static_cast<unsigned>(call.segment_count), kThreads, 0, stream,
         call);
}
void launch_call(const AddNoise<float>& call, StreamHandle stream) {
  launch(add_noise, blocks_for(call.size, 1), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(Lerp<float>)
BASIN_DEFINE_RUN(SegmentedSquaredDistance<float>)
BASIN_DEFINE_RUN(AddNoise<float>)

}  // namespace basin
