// Gram matrices against nested loops, HSIC against the expression of its paper, singular values
// against matrices whose values are known.
#include "engine/linear_algebra.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/transfer.h"
#include "kernels/base/parallel.h"
#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

// Inner products of the vectors at(i, 0 .. length-1), i < count, minus their mean.
template <class At>
std::vector<double> naive_gram(int64_t count, int64_t length, const At& at) {
  std::vector<double> gram(static_cast<size_t>(count * count));
  for (int64_t l = 0; l < length; ++l) {
    double mean = 0;
    for (int64_t i = 0; i < count; ++i) mean += at(i, l) / static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        gram[static_cast<size_t>(i * count + j)] += (at(i, l) - mean) * (at(j, l) - mean);
      }
    }
  }
  return gram;
}

void check_close(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0, worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    worst = std::max(worst, std::abs(actual[i] - expected[i]));
  }
  REQUIRE(largest > 0);
  CHECK(worst < 2e-6 * largest);
}

// A symmetric matrix whose rows have different sums.
std::vector<double> symmetric(int64_t n, uint32_t seed) {
  const Tensor values = random_tensor({n, n}, DType::kF64, seed);
  std::vector<double> k(values.data<double>(), values.data<double>() + values.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double& value = k[static_cast<size_t>(i * n + j)];
      value += 0.1 * static_cast<double>(i + j);
      k[static_cast<size_t>(j * n + i)] = value;
    }
  }
  return k;
}

// HSIC_1 as the paper has it, and the sum of the magnitudes of its terms.
std::pair<double, double> expression(const std::vector<double>& k, const std::vector<double>& l,
                                     int64_t n) {
  const auto count = static_cast<double>(n);
  double trace = 0, k_total = 0, l_total = 0, mixed = 0, magnitude = 0;
  for (int64_t i = 0; i < n; ++i) {
    double k_row = 0, l_row = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const auto at = static_cast<size_t>(i * n + j);
      trace += k[at] * l[at];
      magnitude += std::abs(k[at] * l[at]);
      k_row += k[at];
      l_row += l[at];
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

}  // namespace

TEST_CASE("HSIC is the paper's expression") {
  for (const int64_t n : {4, 5, 33, 300}) {
    CAPTURE(n);
    const std::vector<double> k = symmetric(n, 1), l = symmetric(n, 2);
    const HsicValues got = unbiased_hsic(k, l, n);
    const auto check_value = [&](double value, const std::pair<double, double>& want) {
      CHECK(std::abs(value - want.first) <= 1e-13 * want.second);
    };
    check_value(got.kl, expression(k, l, n));
    check_value(got.kk, expression(k, k, n));
    check_value(got.ll, expression(l, l, n));
  }
}

TEST_CASE("HSIC of features that do not vary is 0, whatever their size") {
  for (const int64_t n : {4, 9}) {
    std::vector<double> k;
    for (int64_t i = 0; i < n * n; ++i) k.push_back(1e6 + 0.1 * static_cast<double>(i / n + i % n));
    const HsicValues got = unbiased_hsic(k, symmetric(n, 2), n);
    CHECK(got.kl == 0);
    CHECK(got.kk == 0);
    CHECK(got.ll > 0);
  }
}

TEST_CASE_FIXTURE(Inference, "Gram matrices: of images and of channels") {
  struct Case {
    int64_t images, height, width, channels;
  };
  // The last one has more places than channel_gram() takes at once.
  for (const Case c :
       {Case{1, 1, 1, 1}, Case{5, 3, 2, 7}, Case{33, 4, 4, 19}, Case{12, 32, 30, 3}}) {
    CAPTURE(c.images);
    const Tensor x = random_tensor({c.images, c.height, c.width, c.channels}, DType::kF32, 3);
    // A mean much larger than what varies must not drown it.
    for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] += 10;
    const int64_t places = x.size() / c.channels, features = x.size() / c.images;
    auto check = [&](const std::vector<double>& actual, int64_t count, int64_t length,
                     int64_t step_i, int64_t step_l) {
      const auto expected = naive_gram(count, length, [&](int64_t i, int64_t l) {
        return static_cast<double>(x.data<float>()[i * step_i + l * step_l]);
      });
      if (count == 1) {
        CHECK(actual == std::vector<double>{0});
      } else {
        check_close(actual, expected);
      }
    };
    check(image_gram(tape, x), c.images, features, features, 1);
    check(channel_gram(tape, x), c.channels, places, 1, c.channels);
  }
}

TEST_CASE_FIXTURE(Inference, "Gram matrices: the same bits for any number of threads") {
  const Tensor x = random_tensor({130, 5, 5, 70}, DType::kF32, 4);
  const auto images = image_gram(tape, x), channels = channel_gram(tape, x);
  for (const int count : {2, 5}) {
    set_threads(count);
    CHECK(image_gram(tape, x) == images);
    CHECK(channel_gram(tape, x) == channels);
  }
  set_threads(1);
}

TEST_CASE("singular values: known matrices") {
  const auto diagonal = singular_values({0, 2, 0, 0, -5, 0, 0, 0, 0, 0, 0, 0.25f}, 3);
  REQUIRE(diagonal.size() == 3);
  CHECK(diagonal[0] == doctest::Approx(5).epsilon(1e-14));
  CHECK(diagonal[1] == doctest::Approx(2).epsilon(1e-14));
  CHECK(diagonal[2] == doctest::Approx(0.25).epsilon(1e-14));
  // [[1, 1], [0, 1]]: the golden ratio and its inverse.
  const double golden = (1 + std::sqrt(5.0)) / 2;
  const auto shear = singular_values({1, 1, 0, 1}, 2);
  CHECK(shear[0] == doctest::Approx(golden).epsilon(1e-14));
  CHECK(shear[1] == doctest::Approx(1 / golden).epsilon(1e-14));
  CHECK(singular_values(std::vector<float>(8, 0), 4) == std::vector<double>{0, 0});
  const auto rank_one = singular_values(std::vector<float>(60, 0.5f), 3);
  CHECK(rank_one[0] == doctest::Approx(0.5 * std::sqrt(60.0)).epsilon(1e-14));
  CHECK(std::abs(rank_one[1]) < 1e-14);
}

TEST_CASE("singular values: of a convolution's weight, the smaller side counts, squares add up") {
  const Tensor weight = random_tensor({40, 3, 3, 6}, DType::kF32, 5);
  const auto values =
      singular_values({weight.data<float>(), weight.data<float>() + weight.size()}, 40);
  REQUIRE(values.size() == 40);
  CHECK(std::is_sorted(values.rbegin(), values.rend()));
  double squares = 0, elements = 0;
  for (const double value : values) squares += value * value;
  for (int64_t i = 0; i < weight.size(); ++i) {
    elements += static_cast<double>(weight.data<float>()[i]) * weight.data<float>()[i];
  }
  CHECK(squares == doctest::Approx(elements).epsilon(1e-12));
}

TEST_CASE("singular values: a weight that is not finite is an error") {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    CHECK(contains(error_of([&] { singular_values({1, value, 0, 1}, 2); }), "[2, 2]"));
  }
}
