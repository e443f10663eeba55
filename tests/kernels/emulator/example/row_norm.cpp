// The norms of rows against their formula in double, under every schedule.
#include "tests/kernels/emulator/example/row_norm.h"

#include "kernels/base/bf16.h"
#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Shape {
  int64_t rows, columns;
};
const Shape kShapes[] = {{1, 1}, {2, 3}, {5, 17}, {3, 64}, {2, 1023}, {1, 1025}};

template <class T>
void check_row_norm(const Shape& s, Values values, Comparison& comparison) {
  Guarded<T> x(s.rows * s.columns);
  const Guarded<float> numbers = filled<float>(x.size(), values, 1);
  for (int64_t i = 0; i < x.size(); ++i) x[i] = from_float<T>(numbers[i]);
  Guarded<float> y(s.rows);
  run_checked({&x}, {&y}, [&] {
    device::run(example::RowNorm<T>{x.data(), y.data(), s.rows, s.columns});
  });
  for (int64_t row = 0; row < s.rows; ++row) {
    double squares = 0;
    for (int64_t c = 0; c < s.columns; ++c) {
      const double value = to_float(x[row * s.columns + c]);
      squares += value * value;
    }
    comparison.value(y[row], std::sqrt(squares), std::sqrt(squares) / 2);
  }
  comparison.check(std::to_string(s.rows) + "x" + std::to_string(s.columns));
}

}  // namespace

TEST_CASE("norms of rows are within the tolerance") {
  Comparison single(false), half(false);
  for (const Shape& shape : kShapes) {
    for (Values values : {Values::kNormal, Values::kPositive}) {
      check_row_norm<float>(shape, values, single);
      check_row_norm<Bf16>(shape, values, half);
    }
  }
  single.report("norms of rows");
  half.report("norms of rows in bfloat16");
}
