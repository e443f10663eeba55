// The matrix product against a sum in double: exact on integers, within a derived tolerance on
// random numbers, and the same bits for any number of threads.
#include "kernels/device/declarations.h"
#include "kernels/gemm/call.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/base/parallel.h"
#include "kernels/base/random.h"
#include "tests/support/op_gradient.h"

namespace {

using basin::Gemm;

constexpr int64_t kGuard = 32;
constexpr float kSentinel = -7.25e20f;

// A buffer with sentinels before and after it.
struct Guarded {
  explicit Guarded(int64_t size, float fill = std::numeric_limits<float>::quiet_NaN())
      : all(size + 2 * kGuard, kSentinel), size(size) {
    std::fill_n(data(), size, fill);
  }
  float* data() { return all.data() + kGuard; }
  const float* data() const { return all.data() + kGuard; }
  bool intact() const {
    for (int64_t i = 0; i < kGuard; ++i) {
      if (all[i] != kSentinel || all[kGuard + size + i] != kSentinel) return false;
    }
    return true;
  }
  std::vector<float> all;
  int64_t size;
};

struct Case {
  int64_t m, n, k;
};

const Case kCases[] = {{1, 1, 1},      {1, 7, 3},     {5, 3, 17},      {6, 16, 32},
                       {7, 17, 33},    {128, 10, 64}, {10, 64, 128},   {64, 10, 128},
                       {16, 100, 512}, {97, 65, 257}, {100, 130, 300}, {16, 1000, 200},
                       {3, 5, 0}};

template <class Draw>
void check_case(const Case& c, bool exact, const Draw& draw, double& worst) {
  for (int variant = 0; variant < 8; ++variant) {
    const bool transpose_a = variant & 1, transpose_b = variant & 2, accumulate = variant & 4;
    Guarded a(c.m * c.k), b(c.k * c.n), out(c.m * c.n);
    for (int64_t i = 0; i < a.size; ++i) a.data()[i] = draw();
    for (int64_t i = 0; i < b.size; ++i) b.data()[i] = draw();
    if (accumulate) {
      for (int64_t i = 0; i < out.size; ++i) out.data()[i] = draw();
    }
    const Guarded before = out, a_before = a, b_before = b;
    const Gemm<float> call{transpose_a, transpose_b, c.m,        c.n,       c.k,
                           a.data(),    b.data(),    out.data(), accumulate};
    basin::set_threads(1);
    basin::cpu::run(call);
    REQUIRE(out.intact());
    CHECK(std::memcmp(a.all.data(), a_before.all.data(), a.all.size() * sizeof(float)) == 0);
    CHECK(std::memcmp(b.all.data(), b_before.all.data(), b.all.size() * sizeof(float)) == 0);
    int64_t wrong = 0;
    for (int64_t i = 0; i < c.m; ++i) {
      for (int64_t j = 0; j < c.n; ++j) {
        const double start = accumulate ? before.data()[i * c.n + j] : 0;
        double sum = start, magnitude = std::abs(start);
        for (int64_t k = 0; k < c.k; ++k) {
          const double product = double(a.data()[transpose_a ? k * c.m + i : i * c.k + k]) *
                                 b.data()[transpose_b ? j * c.k + k : k * c.n + j];
          sum += product;
          magnitude += std::abs(product);
        }
        const double error = std::abs(out.data()[i * c.n + j] - sum);
        const double tolerance = exact ? 0 : 8 * 0x1p-24 * magnitude;
        if (!(error <= tolerance)) ++wrong;
        if (tolerance > 0) worst = std::max(worst, error / tolerance);
      }
    }
    CHECK_MESSAGE(wrong == 0, wrong, " wrong values, m ", c.m, " n ", c.n, " k ", c.k, " variant ",
                  variant);
    for (int threads = 2; threads <= 3; ++threads) {
      Guarded again = before;
      Gemm<float> repeat = call;
      repeat.c = again.data();
      basin::set_threads(threads);
      basin::cpu::run(repeat);
      CHECK(std::memcmp(again.all.data(), out.all.data(), out.all.size() * sizeof(float)) == 0);
    }
    basin::set_threads(1);
  }
}

}  // namespace

TEST_CASE("gemm is exact on small integers") {
  basin::RandomStream random(1, basin::RandomPurpose::kNoise);
  double worst = 0;
  for (const Case& c : kCases) {
    check_case(
        c, true, [&] { return static_cast<float>(random.below(9)) - 4.0f; }, worst);
  }
}

TEST_CASE("gemm is within 8 * 2^-24 * sum|a b| on random numbers") {
  basin::RandomStream random(2, basin::RandomPurpose::kNoise);
  double worst = 0;
  for (const Case& c : kCases) {
    check_case(
        c, false, [&] { return static_cast<float>(random.normal()); }, worst);
  }
  MESSAGE("worst error / tolerance: ", worst);
  CHECK(worst > 0.02);  // else the tolerance tests nothing
}

TEST_CASE("gemm in double is the definition") {
  const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8, 9, 10, 11, 12};
  double c[] = {1, 1, 1, 1};
  basin::cpu::run(Gemm<double>{false, false, 2, 2, 3, a, b, c, true});
  CHECK(c[0] == 59);
  CHECK(c[1] == 65);
  CHECK(c[2] == 140);
  CHECK(c[3] == 155);
  basin::cpu::run(Gemm<double>{true, true, 2, 2, 3, a, b, c, false});
  CHECK(c[0] == 1 * 7 + 3 * 8 + 5 * 9);
  CHECK(c[1] == 1 * 10 + 3 * 11 + 5 * 12);
  CHECK(c[2] == 2 * 7 + 4 * 8 + 6 * 9);
  CHECK(c[3] == 2 * 10 + 4 * 11 + 6 * 12);
}

TEST_CASE("gradient of linear, also of an input that is used twice") {
  using namespace basin;
  using namespace basin::test;
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
  using namespace basin;
  using namespace basin::test;
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 2}), bias = inputs.add("bias", {2});
  inputs.allocate();
  const auto op = [&](Tape& tape) { return linear(tape, x, x, bias); };
  inputs.check("linear of one input", op);
  inputs.check_twice("linear of one input", op);
}
