// Interpolation, distances and noise against their formulas; the end points of interpolation bit
// for bit.
#include "kernels/parameters/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

const int64_t kSizes[] = {1, 3, 5, 16, 17, 64, 65, 100, 16384, 32768, 32769, 70000};

}  // namespace

TEST_CASE("interpolation: within the tolerance between its end points, exact at them") {
  Comparison comparison(false);
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    Guarded<float> a = filled<float>(size, Values::kNormal, 1);
    Guarded<float> b = filled<float>(size, Values::kNormal, 2), y(size);
    a[0] = -0.0f;  // -0 + t*(b - -0) would be +0
    for (double t : {0.0, 0.3, 0.5, 1.0, -0.7, 1.9}) {
      run_call({&a, &b}, {&y}, Lerp<float>{a, b, y, t, size});
      for (int64_t i = 0; i < size; ++i) {
        comparison.value(y[i], (1 - t) * a[i] + t * b[i],
                         std::abs((1 - t) * a[i]) + std::abs(t * b[i]) + std::abs(a[i]));
      }
      comparison.check("lerp");
      if (t == 0.0) CHECK(same_bits(y.data(), a.data(), size));
      if (t == 1.0) CHECK(same_bits(y.data(), b.data(), size));
      Guarded<float> same(size);
      device::run(Lerp<float>{a, a, same, t, size});
      CHECK(same_bits(same.data(), a.data(), size));
    }
    Guarded<float> in_place = a;  // the target may be one of the ends
    device::run(Lerp<float>{a, b, y, 0.3, size});
    device::run(Lerp<float>{in_place, b, in_place, 0.3, size});
    CHECK(same_bits(in_place.data(), y.data(), size));
  }
  comparison.report("lerp");
}

TEST_CASE("squared distances per segment are sums in double") {
  constexpr int64_t kSize = 50000;
  Guarded<Segment> segments(4);
  segments[0] = {0, 1};
  segments[1] = {64, 0};
  segments[2] = {64, 40000};
  segments[3] = {40064, 9936};
  for (Values values : {Values::kIntegers, Values::kNormal}) {
    Guarded<float> a = filled<float>(kSize, values, 1), b = filled<float>(kSize, values, 2);
    Guarded<double> distances(4), squares(4);
    run_checked({&a, &b, &segments}, {&distances, &squares}, [&] {
      device::run(SegmentedSquaredDistance<float>{a, b, segments, distances, 4, 49937});
      device::run(SegmentedSquaredDistance<float>{a, nullptr, segments, squares, 4, 49937});
    });
    for (int64_t s = 0; s < 4; ++s) {
      double distance = 0, square = 0;
      for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].size; ++i) {
        const double difference = double(a[i]) - b[i];
        distance += difference * difference;
        square += double(a[i]) * a[i];
      }
      CHECK(distances[s] == doctest::Approx(distance).epsilon(1e-13));
      CHECK(squares[s] == doctest::Approx(square).epsilon(1e-13));
    }
    CHECK(distances[1] == 0);
  }
}

TEST_CASE("noise depends on seed, draw and place, is standard normal, and scales with sigma") {
  constexpr int64_t kSize = 40000;
  auto noise = [](uint64_t seed, uint32_t draw, int64_t offset, int64_t size, double sigma) {
    Guarded<float> y(size);
    std::fill_n(y.data(), size, 0.0f);
    run_call({}, {&y}, AddNoise<float>{y, sigma, seed, draw, offset, size});
    return y;
  };
  const Guarded<float> whole = noise(7, 3, 0, kSize, 1);
  const Guarded<float> part = noise(7, 3, 1234, 100, 1);
  CHECK(same_bits(part.data(), whole.data() + 1234, 100));
  const Guarded<float> doubled = noise(7, 3, 0, 100, 2);
  for (int64_t i = 0; i < 100; ++i) CHECK(doubled[i] == 2 * whole[i]);
  CHECK(!same_bits(noise(8, 3, 0, 100, 1).data(), whole.data(), 100));
  CHECK(!same_bits(noise(7, 4, 0, 100, 1).data(), whole.data(), 100));
  double moments[4] = {};
  for (int64_t i = 0; i < kSize; ++i) {
    for (int m = 0; m < 4; ++m) moments[m] += std::pow(double(whole[i]), m + 1) / double(kSize);
  }
  CHECK(std::abs(moments[0]) < 4 / std::sqrt(double(kSize)));
  CHECK(std::abs(moments[1] - 1) < 4 * std::sqrt(2.0 / double(kSize)));
  CHECK(std::abs(moments[2]) < 4 * std::sqrt(15.0 / double(kSize)));
  CHECK(std::abs(moments[3] - 3) < 4 * std::sqrt(96.0 / double(kSize)));

  Guarded<float> kept = filled<float>(1000, Values::kNormal, 5);
  const Guarded<float> before = kept;
  device::run(AddNoise<float>{kept, 0, 7, 3, 0, 1000});
  CHECK(same_bits(kept.data(), before.data(), 1000));
#ifndef BASIN_TEST_ON_DEVICE
  Guarded<double> in_double(100);
  std::fill_n(in_double.data(), 100, 0.0);
  cpu::run(AddNoise<double>{in_double, 1, 7, 3, 0, 100});
  for (int64_t i = 0; i < 100; ++i) CHECK(static_cast<float>(in_double[i]) == whole[i]);
#endif
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: a difference in float
//   - const double difference
//   + const float difference
// cpu: an end point that is not exact
//   - if (call.t == 1) {
//   + if (false) {
// tsan: a result written by all threads of a block
//   - if (threadIdx.x == 0) call.sums
//   + call.sums
// clang-format on
