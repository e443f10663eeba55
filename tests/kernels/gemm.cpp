// The matrix product against a sum in double: exact on integers, within a derived tolerance on
// random numbers, and the same bits for any number of threads.
#include "kernels/gemm/call.h"

#include "tests/support/kernel_case.h"
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

void check_products(Values values, Comparison& comparison) {
  const int64_t sizes[][3] = {{1, 1, 1},      {1, 7, 3},     {5, 3, 17},      {6, 16, 32},
                              {7, 17, 33},    {128, 10, 64}, {10, 64, 128},   {64, 10, 128},
                              {16, 100, 512}, {97, 65, 257}, {100, 130, 300}, {16, 1000, 200},
                              {3, 5, 0}};
  uint32_t seed = 0;
  for (const auto& [m, n, k] : sizes) {
    for (int variant = 0; variant < 8; ++variant) {
      const bool transpose_a = variant & 1, transpose_b = variant & 2, accumulate = variant & 4;
      auto a = filled<float>(m * k, values, ++seed), b = filled<float>(k * n, values, ++seed);
      auto c = output<float>(m * n, accumulate, values, ++seed);
      const auto start = c;
      run_call({&a, &b}, {&c},
               Gemm<float>{.transpose_a = transpose_a,
                           .transpose_b = transpose_b,
                           .m = m,
                           .n = n,
                           .k = k,
                           .a = a,
                           .b = b,
                           .c = c,
                           .accumulate = accumulate});
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = accumulate ? start[i * n + j] : 0, magnitude = std::abs(sum);
          for (int64_t t = 0; t < k; ++t) {
            const double product = double(a[transpose_a ? t * m + i : i * k + t]) *
                                   b[transpose_b ? j * k + t : t * n + j];
            sum += product;
            magnitude += std::abs(product);
          }
          comparison.value(c[i * n + j], sum, magnitude);
        }
      }
      comparison.check("m " + std::to_string(m) + " n " + std::to_string(n) + " k " +
                       std::to_string(k) + " variant " + std::to_string(variant));
    }
  }
}

}  // namespace

TEST_CASE("gemm is exact on small integers") {
  Comparison comparison(true);
  check_products(Values::kIntegers, comparison);
}

TEST_CASE("gemm is within 8 * 2^-24 * sum|a b| on random numbers") {
  Comparison comparison(false);
  check_products(Values::kNormal, comparison);
  comparison.report("gemm");
}

TEST_CASE("gemm in double is the definition") {
  const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8, 9, 10, 11, 12};
  double c[] = {1, 1, 1, 1};
  cpu::run(Gemm<double>{.m = 2, .n = 2, .k = 3, .a = a, .b = b, .c = c, .accumulate = true});
  const double want[] = {59, 65, 140, 155};
  for (int i = 0; i < 4; ++i) CHECK(c[i] == want[i]);
  cpu::run(Gemm<double>{
      .transpose_a = true, .transpose_b = true, .m = 2, .n = 2, .k = 3, .a = a, .b = b, .c = c});
  const double of_transposed[] = {1 * 7 + 3 * 8 + 5 * 9, 1 * 10 + 3 * 11 + 5 * 12,
                                  2 * 7 + 4 * 8 + 6 * 9, 2 * 10 + 4 * 11 + 6 * 12};
  for (int i = 0; i < 4; ++i) CHECK(c[i] == of_transposed[i]);
}

TEST_CASE("gradient of linear, also of an input that is used twice") {
  struct Case {
    int64_t rows, in, out;
  };
  for (const Case& c : {Case{1, 1, 1}, Case{3, 5, 2}, Case{4, 7, 17}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", {c.rows, c.in}), weight = inputs.add("weight", {c.out, c.in});
    const Tensor bias = inputs.add("bias", {c.out});
    inputs.allocate();
    const auto op = [&](Tape& tape) { return linear(tape, x, weight, bias); };
    inputs.check("linear", op);
    inputs.check_twice("linear", op);
  }
}

TEST_CASE("gradient of linear of one tensor in two places") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 2}), bias = inputs.add("bias", {2});
  inputs.allocate();
  const auto op = [&](Tape& tape) { return linear(tape, x, x, bias); };
  inputs.check("linear of one input", op);
  inputs.check_twice("linear of one input", op);
}
