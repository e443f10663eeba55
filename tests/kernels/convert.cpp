// Conversion between storage types against the conversions of single numbers, bit by bit.
#include "kernels/convert/call.h"

#include "kernels/base/bf16.h"
#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

#ifdef BASIN_TEST_ON_DEVICE
namespace {

template <class From, class To>
void check_convert(int64_t size, bool accumulate) {
  const Guarded<float> numbers = filled<float>(size, Values::kNormal, 1);
  const Guarded<float> starts = filled<float>(size, Values::kNormal, 2);
  Guarded<From> x(size);
  Guarded<To> y(size);
  for (int64_t i = 0; i < size; ++i) {
    x[i] = from_float<From>(numbers[i]);
    if (accumulate) y[i] = from_float<To>(starts[i]);
  }
  run_call({&x}, {&y}, Convert<From, To>{x, {y, accumulate}, size});
  int64_t wrong = 0;
  for (int64_t i = 0; i < size; ++i) {
    const float start = accumulate ? to_float(from_float<To>(starts[i])) : 0.0f;
    const To want = from_float<To>(start + to_float(x[i]));
    wrong += std::memcmp(&want, &y[i], sizeof(want)) != 0;
  }
  CHECK_MESSAGE(wrong == 0, wrong, " of ", size, " numbers are wrong, accumulate ", accumulate);
}

}  // namespace

TEST_CASE("numbers keep their value, or are rounded once, in another storage type") {
  for (int64_t size : {1, 3, 4, 5, 1000, 16391}) {
    if (too_large(size)) continue;
    for (bool accumulate : {false, true}) {
      check_convert<Bf16, float>(size, accumulate);
      check_convert<float, Bf16>(size, accumulate);
    }
  }
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: the end of the array not looked at
//   - store_or_add(call.y, first, count,
//   + store_or_add(call.y, first, kCount,
// clang-format on
