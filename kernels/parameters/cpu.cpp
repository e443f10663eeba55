// The calls on all parameters on the CPU.
#include "kernels/parameters/call.h"

#include <algorithm>

#include "kernels/base/parallel.h"
#include "kernels/base/random.h"
#include "kernels/device/declarations.h"

namespace basin::cpu {
namespace {

constexpr int64_t kGrain = 32768;

template <class T>
void compute(const Lerp<T>& call) {
  const T t = static_cast<T>(call.t);
  parallel_chunks(call.size, kGrain, [&](int64_t begin, int64_t end) {
    // a + t*(b-a) is not b at t = 1, and turns -0 into +0 where nothing moves.
    if (call.t == 0 || call.t == 1) {
      const T* end_point = call.t == 0 ? call.a : call.b;
      if (end_point != call.y) std::copy(end_point + begin, end_point + end, call.y + begin);
    } else {
      for (int64_t i = begin; i < end; ++i) {
        const T a = call.a[i], b = call.b[i];
        call.y[i] = a == b ? a : a + t * (b - a);
      }
    }
  });
}

template <class T>
void compute(const SegmentedSquaredDistance<T>& call) {
  parallel_for(call.segment_count, [&](int64_t s) {
    const Segment segment = call.segments[s];
    double sum = 0;
    for (int64_t i = segment.offset; i < segment.offset + segment.size; ++i) {
      const double difference = double(call.a[i]) - (call.b ? double(call.b[i]) : 0.0);
      sum += difference * difference;
    }
    call.sums[s] = sum;
  });
}

template <class T>
void compute(const AddNoise<T>& call) {
  parallel_chunks(call.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      RandomStream random(call.seed, RandomPurpose::kNoise, call.draw,
                          static_cast<uint32_t>(call.offset + i));
      call.y[i] = static_cast<T>(call.y[i] + call.sigma * random.normal());
    }
  });
}

}  // namespace

BASIN_CPU_RUN(Lerp<float>)
BASIN_CPU_RUN(Lerp<double>)
BASIN_CPU_RUN(SegmentedSquaredDistance<float>)
BASIN_CPU_RUN(SegmentedSquaredDistance<double>)
BASIN_CPU_RUN(AddNoise<float>)
BASIN_CPU_RUN(AddNoise<double>)

}  // namespace basin::cpu
