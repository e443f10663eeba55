// Kernels on bfloat16 against the same kernels on float, which other cases compare with their
// oracles: from the same numbers the stored results may differ by the rounding to bfloat16 alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/support/kernel_case.h"

namespace basin::test {

// A buffer for each of the two runs of a call.
template <class Half, class Single = Half>
struct Twice {
  Guarded<Half> half;
  Guarded<Single> single;

  explicit Twice(int64_t size) : half(size), single(size) {}
};

// The same numbers in both types.
struct Numbers : Twice<Bf16, float> {
  explicit Numbers(int64_t size) : Twice(size) {}
  Numbers(int64_t size, uint32_t seed) : Twice(size) {
    single = filled<float>(size, Values::kNormal, seed);
    for (int64_t i = 0; i < size; ++i) {
      half[i] = to_bf16(single[i]);
      single[i] = to_float(half[i]);
    }
  }
};

// Half a unit in the last place of bfloat16, and eight roundings of float terms up to `magnitude`.
class StorageComparison {
 public:
  explicit StorageComparison(std::string what) : what_(std::move(what)) {}

  void results(const Numbers& numbers, double magnitude) {
    for (int64_t i = 0; i < numbers.half.size(); ++i) {
      value(to_float(numbers.half[i]), numbers.single[i],
            0x1p-8 * std::abs(numbers.single[i]) + 8 * 0x1p-24 * magnitude);
    }
  }
  // Results that both kernels keep in float.
  void floats(const Guarded<float>& half, const Guarded<float>& single, double magnitude) {
    for (int64_t i = 0; i < half.size(); ++i) value(half[i], single[i], 8 * 0x1p-24 * magnitude);
  }
  void floats(const Twice<float>& both, double magnitude) {
    floats(both.half, both.single, magnitude);
  }
  ~StorageComparison() {
    CHECK_MESSAGE(wrong_ == 0, what_, ": ", wrong_, " of ", count_, " values are wrong");
    CHECK_MESSAGE(count_ > 0, what_, ": nothing was compared");
    CHECK_MESSAGE(worst_ <= 1, what_);
  }

 private:
  void value(double got, double want, double tolerance) {
    ++count_;
    const double error = std::abs(got - want);
    if (!(error <= tolerance)) ++wrong_;
    worst_ = std::max(worst_, error / tolerance);
  }
  std::string what_;
  int64_t count_ = 0, wrong_ = 0;
  double worst_ = 0;
};

constexpr int64_t kStorageSizes[] = {1, 7, 8, 9, 100, 1000, 16391};

inline Guarded<float> scalar(float value) {
  Guarded<float> buffer(1);
  buffer[0] = value;
  return buffer;
}

// The buffer for the run in T.
template <class T, class Half, class Single>
auto& of(Twice<Half, Single>& both) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return both.half;
  } else {
    return both.single;
  }
}

// Calls run(T()) for both types.
template <class Run>
void in_both_types(const Run& run) {
  run(float());
  run(Bf16());
}

}  // namespace basin::test
