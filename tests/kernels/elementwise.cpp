// The elementwise calls against their formulas.
#include "kernels/elementwise/call.h"

#include "tests/support/bf16_case.h"
#include "tests/support/kernel_case.h"
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

const int64_t kSizes[] = {1, 3, 5, 16, 17, 64, 65, 100, 16384, 32768, 32769, 70000};

struct Columns {
  int64_t rows, columns;
};
const Columns kMatrices[] = {{1, 1},   {1, 17},  {3, 5},   {16, 64},  {65, 65},
                             {7, 100}, {128, 3}, {100, 1}, {1000, 16}};

}  // namespace

TEST_CASE("fill writes every element and no other") {
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    Guarded<float> y(size);
    run_call({}, {&y}, Fill<float>{y, 2.5f, size});
    CHECK(std::all_of(y.data(), y.data() + size, [](float value) { return value == 2.5f; }));
  }
}

TEST_CASE("fill takes more elements than a grid of CUDA threads in one step") {
  constexpr int64_t kSize =
      int64_t{4096} * 256 * 4 + 1029;  // blocks_for of kernels/library/vector.h
  if (too_large(kSize)) return;
  Guarded<float> y(kSize);
  device::run(Fill<float>{y, 2.5f, kSize});
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
      device::run(Add<float>{a, b, sum, size});
      device::run(Scale<float>{.x = a, .y = {copied}, .size = size});
      device::run(Scale<float>{a, factor, {scaled}, size});
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
      run_call({&x, &factor}, {&y}, Scale<float>{x, factor, {y, true}, size});
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

TEST_CASE("add_bias adds per column, and a residual, and cuts off below zero, in place too") {
  for (const Columns& s : kMatrices) {
    if (too_large(s.rows * s.columns)) continue;
    const int64_t size = s.rows * s.columns;
    for (int options = 0; options < 4; ++options) {
      const bool with_residual = options & 1, relu = options & 2;
      // A sum of two is rounded once; that of three is exact on integers.
      const Values values = options == 0 ? Values::kNormal : Values::kIntegers;
      Guarded<float> x = filled<float>(size, values, 1), bias = filled<float>(s.columns, values, 2),
                     residual = filled<float>(with_residual ? size : 0, values, 3);
      Guarded<float> y(size), in_place = x;
      run_checked({&x, &bias, &residual}, {&y, &in_place}, [&] {
        AddBias<float> call{.x = x,
                            .bias = bias,
                            .y = y,
                            .rows = s.rows,
                            .columns = s.columns,
                            .residual = residual,
                            .relu = relu};
        device::run(call);
        call.x = call.y = in_place;
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
        run_call({&x}, {&y}, ColumnSum<float>{x, {y, accumulate}, s.rows, s.columns});
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

#ifdef BASIN_TEST_ON_DEVICE
TEST_CASE("elementwise calls on bfloat16") {
  StorageComparison filled_values("fill"), sums("add"), scaled("scale"), biased("add_bias");
  for (int64_t size : kStorageSizes) {
    if (too_large(size)) continue;
    Numbers a(size, 1), b(size, 2), y(size), added(size), accumulated(size, 3), with_bias(size);
    Numbers factor(1, 4), bias(size, 5);
    in_both_types([&]<class T>(T) {
      const T* const x = of<T>(a).data();
      run_checked({&of<T>(a), &of<T>(b), &of<T>(factor), &of<T>(bias)},
                  {&of<T>(y), &of<T>(added), &of<T>(accumulated), &of<T>(with_bias)}, [&] {
                    device::run(Fill<T>{of<T>(y), from_float<T>(2.5f), size});
                    device::run(Add<T>{x, of<T>(b), of<T>(added), size});
                    device::run(Scale<T>{x, of<T>(factor), {of<T>(accumulated), true}, size});
                    device::run(AddBias<T>{x, of<T>(bias), of<T>(with_bias), 1, size});
                  });
    });
    filled_values.results(y, 1);
    sums.results(added, 10);
    scaled.results(accumulated, 20);
    biased.results(with_bias, 10);
  }
}

TEST_CASE("column sums of bfloat16") {
  StorageComparison comparison("column_sum");
  for (int64_t columns : {1, 33, 100}) {
    Numbers x(20 * columns, 1);
    Twice<float> y(columns);
    in_both_types([&]<class T>(T) {
      run_call({&of<T>(x)}, {&of<T>(y)}, ColumnSum<T>{of<T>(x), {of<T>(y)}, 20, columns});
    });
    comparison.floats(y, 20);
  }
}
#else
TEST_CASE("gradient of add, also of a tensor to itself") {
  Inputs inputs;
  const Tensor a = inputs.add("a", {2, 3, 1, 5}), b = inputs.add("b", {2, 3, 1, 5});
  inputs.allocate();
  inputs.check("a + b", [&](Tape& tape) { return add(tape, a, b); });
  inputs.check("(a + a) + b", [&](Tape& tape) { return add(tape, add(tape, a, a), b); });
}
#endif

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
// asan: kernels/library/vector.h: a read past the end
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
// clang-format on
