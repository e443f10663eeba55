// The calls on flat arrays against their formulas; the end points of interpolation bit for bit.
#include "kernels/elementwise/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

const int64_t kSizes[] = {1, 3, 5, 16, 17, 64, 65, 100, 16384, 32768, 32769, 70000};

struct Columns {
  int64_t rows, columns;
};
const Columns kMatrices[] = {{1, 1},   {1, 17},  {3, 5},   {16, 64},  {65, 65},
                             {7, 100}, {128, 3}, {100, 1}, {1000, 16}};

template <class T>
bool same_bits(const T* a, const T* b, int64_t size) {
  return std::memcmp(a, b, static_cast<size_t>(size) * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("fill writes every element and no other") {
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    Guarded<float> y(size);
    run_checked({}, {&y}, [&] { device::run(Fill<float>{y.data(), 2.5f, size}); });
    CHECK(std::all_of(y.data(), y.data() + size, [](float value) { return value == 2.5f; }));
  }
}

TEST_CASE("fill takes more elements than a grid of CUDA threads in one step") {
  constexpr int64_t kSize =
      int64_t{4096} * 256 * 4 + 1029;  // blocks_for of kernels/library/vector.h
  if (too_large(kSize)) return;
  Guarded<float> y(kSize);
  device::run(Fill<float>{y.data(), 2.5f, kSize});
  CHECK(std::all_of(y.data(), y.data() + kSize, [](float value) { return value == 2.5f; }));
  CHECK(y.intact());
}

TEST_CASE("add and scale are correctly rounded") {
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    Guarded<float> a = filled<float>(size, Values::kNormal, 1);
    Guarded<float> b = filled<float>(size, Values::kNormal, 2);
    Guarded<float> sum(size), copied(size), scaled(size), factor(1);
    factor[0] = -1.5f;
    run_checked({&a, &b, &factor}, {&sum, &copied, &scaled}, [&] {
      device::run(Add<float>{a.data(), b.data(), sum.data(), size});
      device::run(Scale<float>{.x = a.data(), .y = {copied.data()}, .size = size});
      device::run(Scale<float>{a.data(), factor.data(), {scaled.data()}, size});
    });
    int64_t wrong = 0;
    for (int64_t i = 0; i < size; ++i) {
      wrong += sum[i] != a[i] + b[i] || scaled[i] != -1.5f * a[i];
    }
    CHECK(wrong == 0);
    CHECK(same_bits(copied.data(), a.data(), size));
  }
}

TEST_CASE("scale accumulates") {
  Comparison exact(true), rounded(false);
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    for (Values values : {Values::kIntegers, Values::kNormal}) {
      Guarded<float> x = filled<float>(size, values, 1), y = filled<float>(size, values, 2);
      Guarded<float> factor(1);
      factor[0] = values == Values::kIntegers ? 3.0f : 0.3f;
      const Guarded<float> start = y;
      run_checked({&x, &factor}, {&y}, [&] {
        device::run(Scale<float>{x.data(), factor.data(), {y.data(), true}, size});
      });
      Comparison& comparison = values == Values::kIntegers ? exact : rounded;
      for (int64_t i = 0; i < size; ++i) {
        const double add = double(factor[0]) * x[i];
        comparison.value(y[i], start[i] + add, std::abs(start[i]) + std::abs(add));
      }
      comparison.check("scale");
    }
  }
  rounded.report("scale");
}

TEST_CASE("add_bias adds per column, in place too") {
  for (const Columns& s : kMatrices) {
    if (too_large(s.rows * s.columns)) continue;
    const int64_t size = s.rows * s.columns;
    Guarded<float> x = filled<float>(size, Values::kNormal, 1);
    Guarded<float> bias = filled<float>(s.columns, Values::kNormal, 2), y(size), in_place = x;
    run_checked({&x, &bias}, {&y, &in_place}, [&] {
      device::run(AddBias<float>{x.data(), bias.data(), y.data(), s.rows, s.columns});
      device::run(AddBias<float>{in_place.data(), bias.data(), in_place.data(), s.rows, s.columns});
    });
    int64_t wrong = 0;
    for (int64_t i = 0; i < size; ++i) wrong += y[i] != x[i] + bias[i % s.columns];
    CHECK(wrong == 0);
    CHECK(same_bits(y.data(), in_place.data(), size));
  }
}

TEST_CASE("add_bias adds a residual, and cuts off below zero, in place too") {
  for (const Columns& s : kMatrices) {
    if (too_large(s.rows * s.columns)) continue;
    const int64_t size = s.rows * s.columns;
    Guarded<float> x = filled<float>(size, Values::kIntegers, 1),
                   residual = filled<float>(size, Values::kIntegers, 3),
                   bias = filled<float>(s.columns, Values::kIntegers, 2);
    for (int options = 1; options < 4; ++options) {
      const bool with_residual = options & 1, relu = options & 2;
      Guarded<float> y(size), in_place = x;
      run_checked({&x, &bias, &residual}, {&y, &in_place}, [&] {
        AddBias<float> call{x.data(), bias.data(), y.data(),
                            s.rows,   s.columns,   with_residual ? residual.data() : nullptr,
                            relu};
        device::run(call);
        call.x = call.y = in_place.data();
        device::run(call);
      });
      int64_t wrong = 0;
      for (int64_t i = 0; i < size; ++i) {
        const float sum = x[i] + bias[i % s.columns] + (with_residual ? residual[i] : 0);
        wrong += y[i] != (relu ? std::max(sum, 0.0f) : sum);
      }
      CHECK(wrong == 0);
      CHECK(same_bits(y.data(), in_place.data(), size));
    }
  }
}

TEST_CASE("column sums: exact on integers, within the tolerance on random numbers") {
  Comparison exact(true), rounded(false);
  for (const Columns& s : kMatrices) {
    if (too_large(s.rows * s.columns)) continue;
    for (Values values : {Values::kIntegers, Values::kNormal, Values::kPositive}) {
      for (bool accumulate : {false, true}) {
        Guarded<float> x = filled<float>(s.rows * s.columns, values, 1);
        Guarded<float> y = output<float>(s.columns, accumulate, values, 2);
        const Guarded<float> start = y;
        run_checked({&x}, {&y}, [&] {
          device::run(ColumnSum<float>{x.data(), {y.data(), accumulate}, s.rows, s.columns});
        });
        Comparison& comparison = values == Values::kIntegers ? exact : rounded;
        for (int64_t c = 0; c < s.columns; ++c) {
          double sum = accumulate ? start[c] : 0, magnitude = std::abs(sum);
          for (int64_t row = 0; row < s.rows; ++row) {
            sum += x[row * s.columns + c];
            magnitude += std::abs(x[row * s.columns + c]);
          }
          comparison.value(y[c], sum, magnitude);
        }
        comparison.check("column sum");
      }
    }
  }
  rounded.report("column sum");
}

TEST_CASE("interpolation: within the tolerance between its end points, exact at them") {
  Comparison comparison(false);
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    Guarded<float> a = filled<float>(size, Values::kNormal, 1);
    Guarded<float> b = filled<float>(size, Values::kNormal, 2), y(size);
    a[0] = -0.0f;  // -0 + t*(b - -0) would be +0
    for (double t : {0.0, 0.3, 0.5, 1.0, -0.7, 1.9}) {
      run_checked({&a, &b}, {&y}, [&] {
        device::run(Lerp<float>{a.data(), b.data(), y.data(), t, size});
      });
      for (int64_t i = 0; i < size; ++i) {
        comparison.value(y[i], (1 - t) * a[i] + t * b[i],
                         std::abs((1 - t) * a[i]) + std::abs(t * b[i]) + std::abs(a[i]));
      }
      comparison.check("lerp");
      if (t == 0.0) CHECK(same_bits(y.data(), a.data(), size));
      if (t == 1.0) CHECK(same_bits(y.data(), b.data(), size));
      Guarded<float> same(size);
      device::run(Lerp<float>{a.data(), a.data(), same.data(), t, size});
      CHECK(same_bits(same.data(), a.data(), size));
    }
    Guarded<float> in_place = a;  // the target may be one of the ends
    device::run(Lerp<float>{a.data(), b.data(), y.data(), 0.3, size});
    device::run(Lerp<float>{in_place.data(), b.data(), in_place.data(), 0.3, size});
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
      device::run(SegmentedSquaredDistance<float>{a.data(), b.data(), segments.data(),
                                                  distances.data(), 4, 49937});
      device::run(SegmentedSquaredDistance<float>{a.data(), nullptr, segments.data(),
                                                  squares.data(), 4, 49937});
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
    Guarded<double> y(size);
    std::fill_n(y.data(), size, 0.0);
    run_checked({}, {&y}, [&] {
      device::run(AddNoise<double>{y.data(), sigma, seed, draw, offset, size});
    });
    return y;
  };
  const Guarded<double> whole = noise(7, 3, 0, kSize, 1);
  const Guarded<double> part = noise(7, 3, 1234, 100, 1);
  CHECK(same_bits(part.data(), whole.data() + 1234, 100));
  const Guarded<double> doubled = noise(7, 3, 0, 100, 2);
  for (int64_t i = 0; i < 100; ++i) CHECK(doubled[i] == 2 * whole[i]);
  CHECK(!same_bits(noise(8, 3, 0, 100, 1).data(), whole.data(), 100));
  CHECK(!same_bits(noise(7, 4, 0, 100, 1).data(), whole.data(), 100));
  double moments[4] = {};
  for (int64_t i = 0; i < kSize; ++i) {
    for (int m = 0; m < 4; ++m) moments[m] += std::pow(whole[i], m + 1) / double(kSize);
  }
  CHECK(std::abs(moments[0]) < 4 / std::sqrt(double(kSize)));
  CHECK(std::abs(moments[1] - 1) < 4 * std::sqrt(2.0 / double(kSize)));
  CHECK(std::abs(moments[2]) < 4 * std::sqrt(15.0 / double(kSize)));
  CHECK(std::abs(moments[3] - 3) < 4 * std::sqrt(96.0 / double(kSize)));

  Guarded<float> kept = filled<float>(1000, Values::kNormal, 5);
  const Guarded<float> before = kept;
  device::run(AddNoise<float>{kept.data(), 0, 7, 3, 0, 1000});
  CHECK(same_bits(kept.data(), before.data(), 1000));
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: kernels/library/vector.h: a tail moved as a whole vector
//   - return count == kCount &&
//   + return count <= kCount &&
// cpu: kernels/library/vector.h: the end of the array not looked at
//   - static_cast<int>(size - first < kCount ? size - first : kCount)
//   + kCount
// cpu: kernels/library/vector.h: a tail dropped
//   - for (; first < size; first += stride)
//   + for (; first + kCount <= size; first += stride)
// cpu: kernels/library/vector.h: a grid that steps too far
//   - first += stride
//   + first += 2 * stride
// cpu: kernels/library/vector.h: accumulation the wrong way round
//   - if (accumulate) {
//   + if (!accumulate) {
// asan: kernels/library/vector.h: a read behind the end
//   - k < count ? to_float(x[k]) : 0
//   + to_float(x[k])
// cpu: an index off by one
//   - if (++column == call.columns)
//   + if (++column > call.columns)
// cpu: a residual of another place
//   - load(call.residual + first, count
//   + load(call.residual, count
// cpu: a ReLU that nobody asked for
//   - call.relu && !(x[k] > 0)
//   + !(x[k] > 0)
// cpu: a sum in bfloat16
//   - total += partials[row][threadIdx.x];
//   + total = to_float(to_bf16(static_cast<float>(total + partials[row][threadIdx.x])));
// cpu: the last columns dropped
//   - (call.columns + kColumns - 1) / kColumns
//   + call.columns / kColumns
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
