// Gram matrices against nested loops, singular values against matrices whose values are known.
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

}  // namespace

TEST_CASE("Gram matrices: of images and of channels") {
  Stream stream(Device::kCpu);
  StepArena arena(int64_t{256} << 20);
  Tape tape(stream, arena, false);
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
    check(download<double>(image_gram(tape, x), stream), c.images, features, features, 1);
    check(channel_gram(tape, x), c.channels, places, 1, c.channels);
  }
}

TEST_CASE("Gram matrices: the same bits for any number of threads") {
  Stream stream(Device::kCpu);
  StepArena arena(int64_t{256} << 20);
  Tape tape(stream, arena, false);
  const Tensor x = random_tensor({130, 5, 5, 70}, DType::kF32, 4);
  const auto of_images = [&] { return download<double>(image_gram(tape, x), stream); };
  const auto images = of_images(), channels = channel_gram(tape, x);
  for (const int count : {2, 5}) {
    set_threads(count);
    CHECK(of_images() == images);
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
