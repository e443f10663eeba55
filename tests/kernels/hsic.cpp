// Gram matrices against nested loops in double, and HSIC_1 against the expression of its paper.
#include "kernels/hsic/call.h"

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

template <class T>
void check_gram(const MatrixShape& s, Values values, Comparison& comparison) {
  Guarded<T> x = stored<T>(filled<float>(s.rows * s.columns, values, 1));
  Guarded<float> shift = filled<float>(s.columns, values, 2);
  Gram<T> call{x.data(), shift.data(), nullptr, nullptr, s.rows, s.columns};
  Guarded<double> k(s.rows * s.rows), partials(call.partials_size());
  call.k = k.data();
  call.partials = partials.data();
  run_checked({&x, &shift}, {&k, &partials}, [&] { device::run(call); });
  for (int64_t i = 0; i < s.rows; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0, magnitude = 0;
      for (int64_t c = 0; c < s.columns; ++c) {
        const double a = to_float(x[i * s.columns + c]), b = to_float(x[j * s.columns + c]);
        sum += (a + shift[c]) * (b + shift[c]);
        magnitude += (std::abs(a) + std::abs(shift[c])) * (std::abs(b) + std::abs(shift[c]));
      }
      comparison.value(k[i * s.rows + j], sum, magnitude);
      CHECK(k[j * s.rows + i] == k[i * s.rows + j]);
    }
  }
  comparison.check("Gram matrix of " + std::to_string(s.rows) + "x" + std::to_string(s.columns));
}

// A symmetric matrix whose rows have sums of their own.
Guarded<double> symmetric(int64_t n, uint32_t seed) {
  Guarded<double> k = filled<double>(n * n, Values::kNormal, seed);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) k[j * n + i] = k[i * n + j] += 0.1 * double(i + j);
  }
  return k;
}

// HSIC_1 as the paper has it, and the sum of the magnitudes of its terms.
std::pair<double, double> expression(const Guarded<double>& k, const Guarded<double>& l,
                                     int64_t n) {
  const auto count = static_cast<double>(n);
  double trace = 0, k_total = 0, l_total = 0, mixed = 0, magnitude = 0;
  for (int64_t i = 0; i < n; ++i) {
    double k_row = 0, l_row = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      trace += k[i * n + j] * l[i * n + j];
      magnitude += std::abs(k[i * n + j] * l[i * n + j]);
      k_row += k[i * n + j];
      l_row += l[i * n + j];
    }
    k_total += k_row;
    l_total += l_row;
    mixed += k_row * l_row;
    magnitude += std::abs(2 * k_row * l_row / (count - 2));
  }
  const double means = k_total * l_total / ((count - 1) * (count - 2));
  const double factor = 1 / (count * (count - 3));
  return {factor * (trace + means - 2 * mixed / (count - 2)),
          factor * (magnitude + std::abs(means))};
}

struct HsicRun {
  double values[3];
};

HsicRun run_hsic(Guarded<double>& k, Guarded<double>& l, int64_t n) {
  Guarded<double> k_sums(n), k_largest(n), l_sums(n), l_largest(n), hsic(3), partials(3 * n);
  run_checked({&k, &l}, {&k_sums, &k_largest, &l_sums, &l_largest, &hsic, &partials}, [&] {
    device::run(GramSums{k.data(), k_sums.data(), k_largest.data(), n});
    device::run(GramSums{l.data(), l_sums.data(), l_largest.data(), n});
    device::run(Hsic{k.data(), l.data(), k_sums.data(), k_largest.data(), l_sums.data(),
                     l_largest.data(), hsic.data(), partials.data(), n});
  });
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0, magnitude = 0, largest = 0;
    for (int64_t j = 0; j < n; ++j) {
      largest = std::max(largest, std::abs(k[i * n + j]));
      if (j == i) continue;
      sum += k[i * n + j];
      magnitude += std::abs(k[i * n + j]);
    }
    CHECK(std::abs(k_sums[i] - sum) <= 1e-14 * magnitude);
    CHECK(k_largest[i] == largest);
  }
  return {{hsic[0], hsic[1], hsic[2]}};
}

}  // namespace

TEST_CASE("Gram matrices are exact on small integers") {
  Comparison comparison(true);
  for (const MatrixShape& s : kShapes) {
    if (too_large(s.rows * s.columns)) continue;
    check_gram<float>(s, Values::kIntegers, comparison);
  }
}

TEST_CASE("Gram matrices are within the tolerance on random numbers") {
  Comparison comparison(false);
  for (const MatrixShape& s : kShapes) {
    if (too_large(s.rows * s.columns)) continue;
    check_gram<float>(s, s.rows % 2 == 0 ? Values::kNormal : Values::kPositive, comparison);
#ifdef BASIN_TEST_ON_DEVICE
    check_gram<Bf16>(s, Values::kNormal, comparison);
#endif
  }
  comparison.report("Gram matrices");
}

TEST_CASE("HSIC is the paper's expression") {
  for (const int64_t n : {4, 5, 33, 300}) {
    if (too_large(n * n)) continue;
    CAPTURE(n);
    Guarded<double> k = symmetric(n, 1), l = symmetric(n, 2);
    const HsicRun got = run_hsic(k, l, n);
    const std::pair<double, double> want[3] = {expression(k, l, n), expression(k, k, n),
                                               expression(l, l, n)};
    for (int i = 0; i < 3; ++i) {
      CHECK(std::abs(got.values[i] - want[i].first) <= 1e-13 * want[i].second);
    }
  }
}

TEST_CASE("HSIC of what does not vary is 0, whatever its size") {
  for (const int64_t n : {4, 9}) {
    Guarded<double> k(n * n), l = symmetric(n, 2);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) k[i * n + j] = 1e6 + 0.1 * double(i + j);
    }
    const HsicRun got = run_hsic(k, l, n);
    CHECK(got.values[0] == 0);
    CHECK(got.values[1] == 0);
    CHECK(got.values[2] > 0);
  }
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
// cpu: the diagonal summed, too
//   - if (j != row) sum += value;
//   + sum += value;
// cpu: centred by the row alone
//   - value - row_term - term(column)
//   + value - row_term - row_term
// cpu: what rounding left taken for a number
//   - fabs(centred) <= rounding ? 0 : centred
//   + centred
// cpu: the diagonal multiplied, too
//   - if (j == row) continue;
// asan: rows behind the last
//   - if (row + line >= call.rows) count = 0;
// tsan: a sum written by all threads of a block
//   - if (threadIdx.x == 0) {
//   -     call.sums
//   + if (true) {
//   +     call.sums
// clang-format on
