// Statistics against worked values: closed forms of Student's t for few degrees of freedom, the
// printed tables, and the sleep data of Student (1908).
#include "experiments/statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/check.h"

using namespace basin;

TEST_CASE("mean, standard deviation and standard error of a hand-worked sample") {
  const std::vector<double> values = {2, 4, 4, 4, 5, 5, 7, 9};  // squares about 5 sum to 32
  CHECK(mean(values) == 5.0);
  CHECK(sample_standard_deviation(values) == doctest::Approx(std::sqrt(32.0 / 7)).epsilon(1e-14));
  CHECK(standard_error(values) == doctest::Approx(std::sqrt(32.0 / 56)).epsilon(1e-14));
}

TEST_CASE("too few values are refused") {
  const std::vector<double> none, one = {1}, two = {1, 2};
  CHECK_THROWS_AS(mean(none), Error);
  CHECK_THROWS_AS(sample_standard_deviation(one), Error);
  CHECK_THROWS_AS(mean_interval(one), Error);
  CHECK_THROWS_AS(mean_interval(two, 1.0), Error);
  CHECK_THROWS_AS(paired_difference(two, one), Error);
  CHECK_THROWS_AS(student_t_cdf(1, 0), Error);
  CHECK_THROWS_AS(student_t_quantile(1, 3), Error);
}

TEST_CASE("Student's t distribution against its closed forms") {
  for (const double t : {-30.0, -3.0, -0.7, -1e-6, 0.0, 0.4, 1.0, 2.5, 12.0, 300.0}) {
    CAPTURE(t);
    CHECK(student_t_cdf(t, 1) == doctest::Approx(0.5 + std::atan(t) / M_PI).epsilon(1e-12));
    CHECK(student_t_cdf(t, 2) ==
          doctest::Approx(0.5 + t / (2 * std::sqrt(2 + t * t))).epsilon(1e-11));
    const double angle = std::atan(t / std::sqrt(3.0));
    CHECK(student_t_cdf(t, 3) ==
          doctest::Approx(0.5 + (angle + std::sin(angle) * std::cos(angle)) / M_PI).epsilon(1e-11));
  }
  // Many degrees of freedom: the normal distribution.
  CHECK(student_t_cdf(1.959963984540054, 1e7) == doctest::Approx(0.975).epsilon(1e-7));
}

TEST_CASE("quantiles against the printed table") {
  CHECK(student_t_quantile(0.975, 1) == doctest::Approx(12.7062047364).epsilon(1e-10));
  CHECK(student_t_quantile(0.975, 2) == doctest::Approx(4.30265272991).epsilon(1e-10));
  CHECK(student_t_quantile(0.975, 4) == doctest::Approx(2.77644510520).epsilon(1e-10));
  CHECK(student_t_quantile(0.975, 9) == doctest::Approx(2.26215716280).epsilon(1e-10));
  CHECK(student_t_quantile(0.975, 30) == doctest::Approx(2.04227245630).epsilon(1e-10));
  CHECK(student_t_quantile(0.95, 9) == doctest::Approx(1.83311293265).epsilon(1e-10));
  CHECK(student_t_quantile(0.025, 9) == -student_t_quantile(0.975, 9));
  CHECK(student_t_quantile(0.5, 3) == 0.0);
}

TEST_CASE("confidence interval of a mean, by hand") {
  const std::vector<double> values = {1, 2, 3};  // s = 1, standard error 1 / sqrt(3)
  const MeanInterval interval = mean_interval(values);
  CHECK(interval.mean == 2.0);
  CHECK(interval.n == 3);
  CHECK(interval.upper - 2 == doctest::Approx(4.30265272991 / std::sqrt(3.0)).epsilon(1e-10));
  CHECK(2 - interval.lower == doctest::Approx(interval.upper - 2).epsilon(1e-12));
  CHECK(mean_interval(values, 0.5).upper < interval.upper);
}

TEST_CASE("paired test on Student's sleep data") {
  const std::vector<double> first = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const std::vector<double> second = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const PairedDifference test = paired_difference(first, second);
  CHECK(test.difference.mean == doctest::Approx(-1.58).epsilon(1e-12));
  CHECK(test.t == doctest::Approx(-4.0621).epsilon(1e-5));
  CHECK(test.degrees_of_freedom == 9);
  CHECK(test.p_value == doctest::Approx(0.002833).epsilon(1e-4));
  CHECK(test.difference.lower == doctest::Approx(-2.4598858).epsilon(1e-7));
  CHECK(test.difference.upper == doctest::Approx(-0.7001142).epsilon(1e-6));
}

TEST_CASE("equal differences: no spread, a decided test") {
  const std::vector<double> first = {2, 3, 4}, second = {1, 2, 3};
  const PairedDifference test = paired_difference(first, second);
  CHECK(test.t == std::numeric_limits<double>::infinity());
  CHECK(test.p_value == 0);
  CHECK(test.difference.lower == 1.0);
  const PairedDifference same = paired_difference(first, first);
  CHECK(same.t == 0);
  CHECK(same.p_value == doctest::Approx(1));
}
