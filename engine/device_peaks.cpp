// Measuring copies and matrix products.
#include "engine/device_peaks.h"

#include <unistd.h>

#include <algorithm>

#include "kernels/call_clock.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/run.h"

namespace basin {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr double kLongRun = 0.5;       // seconds: no larger size is tried
constexpr double kLongProduct = 0.05;  // seconds: large enough
constexpr int64_t kLargestSide = 8192;

int64_t copy_buffer_bytes() {
  const int64_t cache = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), sysconf(_SC_LEVEL2_CACHE_SIZE));
  return std::clamp(2 * cache, 64 * kMebibyte, 1024 * kMebibyte);
}

// Seconds of the fastest of three runs; of the first alone when that is long.
template <class Call>
double best_seconds(const Call& call, Stream& stream) {
  double best = 0;
  for (int i = 0; i < 3 && best < kLongRun; ++i) {
    CallClock clock(stream);
    clock.mark();
    run(call, stream);
    clock.mark();
    const double seconds = clock.seconds().back();
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

template <class T>
void measure_copy(Stream& stream, StepArena& arena, DevicePeaks& peaks) {
  const int64_t most = copy_buffer_bytes();
  for (int64_t bytes = kMebibyte;; bytes = std::min(4 * bytes, most)) {
    const auto from = arena.allocate(bytes), to = arena.allocate(bytes);
    const auto size = bytes / int64_t{sizeof(T)};
    auto* x = static_cast<T*>(from->data());
    auto* y = static_cast<T*>(to->data());
    run(Fill<T>{x, T(1), size}, stream);  // memory that was never written may have no pages yet
    run(Fill<T>{y, T(0), size}, stream);
    const Scale<T> copy{x, nullptr, y, false, size};
    const double seconds = best_seconds(copy, stream);
    peaks.copy_buffer_bytes = bytes;
    peaks.copy_bytes_per_second = copy.bytes() / seconds;
    if (bytes == most || seconds > kLongRun) return;
  }
}

template <class T>
void measure_product(Stream& stream, StepArena& arena, DevicePeaks& peaks) {
  for (int64_t side = 256; side <= kLargestSide; side *= 2) {
    const int64_t size = side * side, bytes = size * int64_t{sizeof(T)};
    const auto a = arena.allocate(bytes), b = arena.allocate(bytes), c = arena.allocate(bytes);
    uint32_t draw = 0;
    for (const auto& factor : {a, b}) {  // zeros would take less power, and so run faster
      auto* values = static_cast<T*>(factor->data());
      run(Fill<T>{values, T(0), size}, stream);
      run(AddNoise<T>{values, 1.0, 1, draw++, 0, size}, stream);
    }
    const Gemm<T> product{false,
                          false,
                          side,
                          side,
                          side,
                          static_cast<const T*>(a->data()),
                          static_cast<const T*>(b->data()),
                          static_cast<T*>(c->data()),
                          false};
    const double seconds = best_seconds(product, stream);
    const double speed = product.flops() / seconds;
    if (speed > peaks.product_flops_per_second) {
      peaks.product_flops_per_second = speed;
      peaks.product_side = side;
    }
    if (seconds > kLongProduct) return;
  }
}

}  // namespace

DevicePeaks measure_device_peaks(Stream& stream, StepArena& arena, DType dtype) {
  DevicePeaks peaks;
  dispatch(dtype, [&]<class T>() {
    measure_copy<T>(stream, arena, peaks);
    measure_product<T>(stream, arena, peaks);
  });
  return peaks;
}

}  // namespace basin
