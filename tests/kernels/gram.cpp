// Gram matrices against nested loops in double.
#include "kernels/gram/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

struct MatrixShape {
  int64_t rows, columns;
};
// Tiles of 64 rows, steps of 16 columns, chunks of 1024 (on the CPU 4096); the last has chunks of
// more than that.
const MatrixShape kShapes[] = {{1, 1},     {4, 3},     {5, 16},   {33, 17},  {64, 40},
                               {65, 1023}, {130, 100}, {7, 2500}, {3, 70000}};

void check_gram(const MatrixShape& s, Values values, Comparison& comparison) {
  Guarded<float> x = filled<float>(s.rows * s.columns, values, 1),
                 shift = filled<float>(s.columns, values, 2);
  Gram call{x.data(), shift.data(), nullptr, nullptr, s.rows, s.columns};
  Guarded<double> k(s.rows * s.rows), partials(call.partials_size());
  call.k = k.data();
  call.partials = partials.data();
  run_checked({&x, &shift}, {&k, &partials}, [&] { device::run(call); });
  for (int64_t i = 0; i < s.rows; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0, magnitude = 0;
      for (int64_t c = 0; c < s.columns; ++c) {
        const double a = x[i * s.columns + c], b = x[j * s.columns + c];
        sum += (a + shift[c]) * (b + shift[c]);
        magnitude += (std::abs(a) + std::abs(shift[c])) * (std::abs(b) + std::abs(shift[c]));
      }
      comparison.value(k[i * s.rows + j], sum, magnitude);
      CHECK(k[j * s.rows + i] == k[i * s.rows + j]);
    }
  }
  comparison.check("Gram matrix of " + std::to_string(s.rows) + "x" + std::to_string(s.columns));
}

}  // namespace

TEST_CASE("Gram matrices are exact on small integers") {
  Comparison comparison(true);
  for (const MatrixShape& s : kShapes) {
    if (too_large(s.rows * s.columns)) continue;
    check_gram(s, Values::kIntegers, comparison);
  }
}

TEST_CASE("Gram matrices are within the tolerance on random numbers") {
  Comparison comparison(false);
  for (const MatrixShape& s : kShapes) {
    if (too_large(s.rows * s.columns)) continue;
    check_gram(s, s.rows % 2 == 0 ? Values::kNormal : Values::kPositive, comparison);
  }
  comparison.report("Gram matrices");
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: the last columns dropped
//   - c < end; c += kDepth
//   + c + kDepth <= end; c += kDepth
// cpu: a tile of the upper triangle
//   - while (tile_column > tile_row)
//   + while (tile_column > tile_row + 1)
// cpu: a sum in bfloat16
//   - sums[i][j].add(step[i][j]);
//   + sums[i][j].add(to_float(to_bf16(step[i][j])));
// cpu: the last chunk left out
//   - chunk < chunks; ++chunk
//   + chunk + 1 < chunks; ++chunk
// asan: rows past the last
//   - if (row + line >= call.rows) count = 0;
// clang-format on
