// Copies between element types: each bit, at every size and alignment.
#include "kernels/cast.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

// Bits of every kind: numbers of all exponents, ties, infinities, denormals, NaN; of both signs.
Guarded<float> all_kinds(int64_t size) {
  RandomStream random(7, RandomPurpose::kNoise);
  Guarded<float> x(size);
  for (int64_t i = 0; i < size; ++i) {
    uint32_t bits = random.bits();
    if (i % 4 == 0) bits = (bits & 0xFFFF0000u) | 0x8000u;  // a tie
    if (i % 7 == 0) bits |= 0x7F800000u;                    // infinite or NaN
    if (i % 11 == 0) bits &= 0x807FFFFFu;                   // denormal or zero
    std::memcpy(&x[i], &bits, sizeof(bits));
  }
  return x;
}

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}
uint32_t bits_of(Bf16 x) {
  return x.bits;
}

// Casts a range that starts `shift` elements behind a vector, and leaves its neighbours alone.
template <class From, class To>
void check_cast(Guarded<From> x, int64_t shift) {
  const int64_t size = x.size() - shift;
  Guarded<To> y(x.size());
  const Guarded<To> before = y;
  run_checked({&x}, {&y}, [&] {
    device::run(Cast<From, To>{x.data() + shift, y.data() + shift, size});
  });
  int64_t wrong = 0;
  for (int64_t i = 0; i < shift; ++i) wrong += bits_of(y[i]) != bits_of(before[i]);
  for (int64_t i = shift; i < x.size(); ++i) {
    wrong += bits_of(y[i]) != bits_of(from_float<To>(to_float(x[i])));
  }
  CHECK_MESSAGE(wrong == 0, wrong, " of ", x.size(), " elements are wrong, shift ", shift);
}

}  // namespace

TEST_CASE("casts and copies are right in every bit") {
  for (int64_t size : {1, 3, 4, 7, 8, 9, 31, 100, 1025, 33000}) {
    if (too_large(size)) continue;
    const Guarded<float> single = all_kinds(size);
    Guarded<Bf16> half(size);
    for (int64_t i = 0; i < size; ++i)
      half[i].bits = static_cast<uint16_t>(bits_of(single[i]) >> 16);
    for (int64_t shift = 0; shift < std::min<int64_t>(size, 3); ++shift) {
      check_cast<float, float>(single, shift);
      check_cast<float, Bf16>(single, shift);
      check_cast<Bf16, float>(half, shift);
      check_cast<Bf16, Bf16>(half, shift);
    }
  }
}
