// Measuring copies and matrix products.
#include "experiments/bench/peaks.h"

#include <unistd.h>

#include <algorithm>
#include <type_traits>

#include "kernels/convert/call.h"
#include "kernels/device/clock.h"
#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"
#include "kernels/gemm/call.h"
#include "kernels/parameters/call.h"

namespace basin {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr double kLongRun = 2;         // seconds: no larger buffers are tried
constexpr double kLongProduct = 0.05;  // seconds: large enough
constexpr int kMostRuns = 10;
constexpr double kRunsTime = 0.25;  // seconds after which no further run begins
constexpr int64_t kLargestSide = 8192;
constexpr int64_t kHostPiece = 16 * kMebibyte;

int64_t copy_buffer_bytes() {
  const int64_t cache = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), sysconf(_SC_LEVEL2_CACHE_SIZE));
  return std::clamp(2 * cache, 64 * kMebibyte, 1024 * kMebibyte);
}

template <class Call>
double seconds_of(const Call& call, Stream& stream) {
  CallClock clock(stream);
  clock.mark();
  run(call, stream);
  clock.mark();
  return clock.seconds().back();
}

// Pieces of buffers far larger than the caches, walked over in turn: nothing of a piece is cached
// when its turn comes. The host's pieces are short enough to end before other programs get the
// core; on another device starting a short one would be part of its time.
template <class T>
void measure_copy(Stream& stream, StepArena& arena, DevicePeaks& peaks) {
  const int64_t most = copy_buffer_bytes();
  for (int64_t bytes = kMebibyte;; bytes = std::min(32 * bytes, most)) {
    const auto from = arena.allocate(bytes), to = arena.allocate(bytes);
    const auto size = bytes / int64_t{sizeof(T)};
    auto* x = static_cast<T*>(from->data());
    auto* y = static_cast<T*>(to->data());
    // Memory that was never written may have no pages yet.
    run(Fill<T>{x, from_float<T>(1), size}, stream);
    run(Fill<T>{y, from_float<T>(0), size}, stream);
    const bool host = stream.device() == Device::kCpu;
    const int64_t piece = std::min(size, host ? kHostPiece / int64_t{sizeof(T)} : size);
    peaks.copy_buffer_bytes = bytes;
    peaks.copy_bytes_per_second = 0;
    double total = 0;
    for (int pass = 0; pass < kMostRuns && total < kRunsTime; ++pass) {
      for (int64_t begin = 0; begin + piece <= size; begin += piece) {
        const Scale<T> copy{.x = x + begin, .y = {y + begin}, .size = piece};
        const double seconds = seconds_of(copy, stream);
        total += seconds;
        peaks.copy_bytes_per_second = std::max(peaks.copy_bytes_per_second, copy.bytes() / seconds);
      }
    }
    if (bytes == most || total > kLongRun) return;
  }
}

// Zeros would take less power, and so run faster.
template <class T>
void fill_with_noise(T* values, int64_t size, uint32_t draw, Stream& stream, StepArena& arena) {
  if constexpr (std::is_same_v<T, Bf16>) {
    const auto memory = arena.allocate(size * int64_t{sizeof(float)});
    auto* floats = static_cast<float*>(memory->data());
    fill_with_noise(floats, size, draw, stream, arena);
    run(Convert<float, Bf16>{.x = floats, .y = {values}, .size = size}, stream);
  } else {
    run(Fill<T>{values, T(0), size}, stream);
    run(AddNoise<T>{values, 1.0, 1, draw, 0, size}, stream);
  }
}

template <class T>
void measure_product(Stream& stream, StepArena& arena, DevicePeaks& peaks) {
  for (int64_t side = 256; side <= kLargestSide; side *= 2) {
    const int64_t size = side * side, bytes = size * int64_t{sizeof(T)};
    const auto a = arena.allocate(bytes), b = arena.allocate(bytes), c = arena.allocate(bytes);
    uint32_t draw = 0;
    for (const auto& factor : {a, b}) {
      fill_with_noise(static_cast<T*>(factor->data()), size, draw++, stream, arena);
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
    double best = seconds_of(product, stream), total = best;
    for (int i = 1; i < kMostRuns && total < kRunsTime; ++i) {
      const double seconds = seconds_of(product, stream);
      total += seconds;
      best = std::min(best, seconds);
    }
    const double speed = product.flops() / best;
    if (speed > peaks.product_flops_per_second) {
      peaks.product_flops_per_second = speed;
      peaks.product_side = side;
    }
    if (best > kLongProduct) return;
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
