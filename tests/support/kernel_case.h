// What the kernel tests share: guarded buffers, seeded fills, runs that must have the same bits for
// any number of threads, and the derived tolerance.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/random.h"

namespace basin::test {

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
  std::vector<std::byte> bytes;
};

// A guarded array, filled with NaN (integers: all bits set) until something is written. Of size 0,
// it stands for an argument that is left out: or_null() is null then.
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

// An output: filled with start values when `accumulate`, else with NaN.
template <class T>
Guarded<T> output(int64_t size, bool accumulate, Values values, uint32_t seed) {
  return accumulate ? filled<T>(size, values, seed) : Guarded<T>(size);
}

// Calls launch() with 1, 2 and 3 threads from the same start: sentinels and inputs stay as they
// are, and the outputs have the same bits each time.
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
  for (int threads = 1; threads <= 3; ++threads) {
    size_t at = 0;
    for (GuardedBytes* out : outputs) out->bytes = outputs_before[at++];
    set_threads(threads);
    launch();
    for (const GuardedBytes* out : outputs) REQUIRE(out->intact());
    REQUIRE_MESSAGE(copy(inputs) == inputs_before, "an input changed");
    if (threads == 1) first = copy(outputs);
    REQUIRE_MESSAGE(copy(outputs) == first, "other bits with ", threads, " threads");
  }
  set_threads(1);
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
