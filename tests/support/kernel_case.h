// What the kernel tests share: guarded buffers, seeded fills, runs that must have the same bits for
// any number of threads, and the derived tolerance.
//
// The same cases test every device: they run calls by device::run, which is cpu::run, or, where
// BASIN_TEST_EMULATED is defined, emulated::run; then it is the schedules of the emulator that must
// not change a bit. Where BASIN_TEST_CUDA is defined it is the GPU, and one run must have the bits
// of another, and of a captured one. BASIN_TEST_ON_DEVICE is defined in both: no double there.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <list>
#include <string>
#include <type_traits>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "kernels/base/bf16.h"
#include "kernels/base/parallel.h"
#include "kernels/base/random.h"
#include "kernels/device/declarations.h"
#if defined(BASIN_TEST_EMULATED)
#define BASIN_TEST_ON_DEVICE
#include "kernels/device/declarations.h"
#include "tests/kernels/emulator/schedules.h"
#elif defined(BASIN_TEST_CUDA)
#define BASIN_TEST_ON_DEVICE
#include "kernels/device/declarations.h"
#include "tests/support/cuda_runs.h"
#endif

namespace basin {
namespace cpu {}
#if defined(BASIN_TEST_EMULATED)
namespace device = emulated;
#elif defined(BASIN_TEST_CUDA)
namespace device = on_gpu;
#else
namespace device = cpu;
#endif
}  // namespace basin

namespace basin::test {

// Whether a case of that many elements would take too long: the emulator under ThreadSanitizer does
// a million in a few seconds.
inline bool too_large(int64_t elements) {
#if defined(BASIN_TEST_EMULATED) && defined(__SANITIZE_THREAD__)
  return elements > 2000;
#else
  static_cast<void>(elements);
  return false;
#endif
}

// Memory with sentinels before and after it.
struct GuardedBytes {
  static constexpr size_t kGuard = 4096;
  static constexpr std::byte kSentinel{0xA5};

  explicit GuardedBytes(int64_t size) {
    REQUIRE(size >= 0);
    bytes.assign(static_cast<size_t>(size) + 2 * kGuard, kSentinel);
  }
  bool intact() const {
    const auto is_sentinel = [](std::byte byte) { return byte == kSentinel; };
    return std::all_of(bytes.begin(), bytes.begin() + kGuard, is_sentinel) &&
           std::all_of(bytes.end() - kGuard, bytes.end(), is_sentinel);
  }
  // Under AddressSanitizer, reading the sentinels is an error, too, as long as this exists. Not for
  // a GPU: what runs there is not instrumented, and the buffers are copied to it as a whole.
  class Closed {
   public:
    explicit Closed([[maybe_unused]] const GuardedBytes& buffer) : buffer_(buffer) {
#if defined(__SANITIZE_ADDRESS__) && !defined(BASIN_TEST_CUDA)
      ASAN_POISON_MEMORY_REGION(buffer.bytes.data(), kGuard);
      ASAN_POISON_MEMORY_REGION(buffer.bytes.data() + buffer.bytes.size() - kGuard, kGuard);
#endif
    }
    ~Closed() {
#if defined(__SANITIZE_ADDRESS__) && !defined(BASIN_TEST_CUDA)
      ASAN_UNPOISON_MEMORY_REGION(buffer_.bytes.data(), buffer_.bytes.size());
#endif
    }
    Closed(const Closed&) = delete;
    Closed& operator=(const Closed&) = delete;

   private:
    const GuardedBytes& buffer_;
  };

#ifdef BASIN_TEST_CUDA
  HostBytes bytes;
#else
  std::vector<std::byte> bytes;
#endif
};

// A guarded array, filled with NaN (integers: all bits set) until something is written. With size 0
// it is an argument that is left out: or_null() returns null.
template <class T>
class Guarded : public GuardedBytes {
 public:
  explicit Guarded(int64_t size) : GuardedBytes(size * int64_t{sizeof(T)}), size_(size) {
    T empty;
    std::memset(&empty, 0xFF, sizeof(T));  // a NaN for the floating-point types
    std::fill_n(data(), size, empty);
  }
  T* data() { return reinterpret_cast<T*>(bytes.data() + kGuard); }
  const T* data() const { return reinterpret_cast<const T*>(bytes.data() + kGuard); }
  T* or_null() { return size_ > 0 ? data() : nullptr; }
  // So that a call can be made from buffers.
  operator T*() { return or_null(); }
  operator const T*() const { return size_ > 0 ? data() : nullptr; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  int64_t size() const { return size_; }

 private:
  int64_t size_;
};

enum class Values {
  kIntegers,  // whole numbers in [-4, 4]: sums of their products are exact
  kNormal,    // N(0, 1)
  kPositive,  // uniform in [0.5, 1.5): sums in which no error cancels
};

inline const char* name_of(Values values) {
  return values == Values::kIntegers ? "integers"
                                     : (values == Values::kNormal ? "normal" : "positive");
}

// `size` values drawn from the stream (seed, sample).
template <class T>
Guarded<T> filled(int64_t size, Values values, uint32_t seed) {
  RandomStream random(seed, RandomPurpose::kNoise);
  Guarded<T> buffer(size);
  for (int64_t i = 0; i < size; ++i) {
    switch (values) {
      case Values::kIntegers:
        buffer[i] = static_cast<T>(static_cast<int>(random.below(9)) - 4);
        break;
      case Values::kNormal:
        buffer[i] = static_cast<T>(random.normal());
        break;
      case Values::kPositive:
        buffer[i] = static_cast<T>(random.uniform(0.5f, 1.5f));
        break;
    }
  }
  return buffer;
}

// The same numbers, rounded to T.
template <class T>
Guarded<T> stored(const Guarded<float>& numbers) {
  Guarded<T> buffer(numbers.size());
  for (int64_t i = 0; i < numbers.size(); ++i) buffer[i] = from_float<T>(numbers[i]);
  return buffer;
}

template <class T>
bool same_bits(const T* a, const T* b, int64_t size) {
  return std::memcmp(a, b, static_cast<size_t>(size) * sizeof(T)) == 0;
}

// An output: filled with start values when `accumulate`, else with NaN.
template <class T>
Guarded<T> output(int64_t size, bool accumulate, Values values, uint32_t seed) {
  return accumulate ? filled<T>(size, values, seed) : Guarded<T>(size);
}

// Calls run(what) once for each way of running that must not change a bit of the result: the CPU
// with 1, 2 and 3 threads, the emulator under its schedules, the GPU twice and captured.
template <class Run>
void in_every_way(const Run& run) {
#if defined(BASIN_TEST_CUDA)
  gpu_runs->capture = false;
  run("on the GPU");
  run("on the GPU, a second time");
  gpu_runs->capture = true;
  run("on the GPU, captured");
  gpu_runs->capture = false;
#elif defined(BASIN_TEST_EMULATED)
  for (const Schedule& schedule : kernel_schedules()) {
    const emulator::ScopedOptions scope(schedule.options);
    run(schedule.name);
  }
#else
  for (int threads = 1; threads <= 3; ++threads) {
    set_threads(threads);
    run(std::to_string(threads) + " threads");
  }
  set_threads(1);
#endif
}

// How often run_checked() has been called: a case is a call with a shape and values.
inline int64_t case_count = 0;

// Calls launch() in every way from the same start: sentinels and inputs stay as they are, and the
// outputs have the same bits each time.
template <class Launch>
void run_checked(std::initializer_list<GuardedBytes*> inputs,
                 std::initializer_list<GuardedBytes*> outputs, const Launch& launch) {
  const auto copy = [](std::initializer_list<GuardedBytes*> buffers) {
    std::vector<std::vector<std::byte>> bytes;
    for (const GuardedBytes* buffer : buffers) bytes.push_back(buffer->bytes);
    return bytes;
  };
  const auto inputs_before = copy(inputs), outputs_before = copy(outputs);
  std::vector<std::vector<std::byte>> first;
  in_every_way([&](const std::string& way) {
    size_t at = 0;
    for (GuardedBytes* out : outputs) out->bytes = outputs_before[at++];
    {
      std::list<GuardedBytes::Closed> closed;
      for (const GuardedBytes* buffer : inputs) closed.emplace_back(*buffer);
      for (const GuardedBytes* buffer : outputs) closed.emplace_back(*buffer);
      launch();
    }
    for (const GuardedBytes* out : outputs) REQUIRE(out->intact());
    REQUIRE_MESSAGE(copy(inputs) == inputs_before, "an input changed: ", way);
    if (first.empty()) first = copy(outputs);
    REQUIRE_MESSAGE(copy(outputs) == first, "other bits: ", way);
  });
  ++case_count;
}

// The same of one call.
template <class Call>
void run_call(std::initializer_list<GuardedBytes*> inputs,
              std::initializer_list<GuardedBytes*> outputs, const Call& call) {
  run_checked(inputs, outputs, [&] { device::run(call); });
}

// Memory for the partial sums of `call`, which is told of it.
template <class Call>
Guarded<double> partials_of(Call& call) {
  Guarded<double> partials(call.partials_size());
  call.partials = partials.data();
  return partials;
}

// Compares results with an oracle in double. For sums of float terms the allowed error is
// 8 * 2^-24 * sum|terms|, the terms being those of the formula; zero when exact.
class Comparison {
 public:
  explicit Comparison(bool exact) : exact_(exact) {}

  // `magnitude`: sum of the absolute values of the terms `want` is the sum of.
  void value(double got, double want, double magnitude) {
    ++count_;
    const double error = std::abs(got - want);
    const double tolerance = exact_ ? 0 : 8 * 0x1p-24 * magnitude;
    if (!(error <= tolerance)) {
      if (wrong_++ == 0) first_wrong_ = {got, want, tolerance};
    }
    if (tolerance > 0) worst_ = std::max(worst_, error / tolerance);
  }
  // For one case: no value was wrong.
  void check(const std::string& what) {
    CHECK_MESSAGE(wrong_ == 0, what, ": ", wrong_, " of ", count_,
                  " values are wrong; the first: ", first_wrong_.got, " instead of ",
                  first_wrong_.want, ", allowed error ", first_wrong_.tolerance);
    wrong_ = count_ = 0;
  }
  // For all cases together: the tolerance was needed.
  void report(const std::string& what) const {
    MESSAGE(what, ": worst error / tolerance ", worst_);
    CHECK_MESSAGE(worst_ > 0.02, what, ": a tolerance that is never needed tests nothing");
  }

 private:
  struct Wrong {
    double got, want, tolerance;
  };
  bool exact_;
  int64_t wrong_ = 0, count_ = 0;
  double worst_ = 0;
  Wrong first_wrong_{};
};

}  // namespace basin::test
