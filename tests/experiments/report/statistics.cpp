// Statistics against worked values: closed forms of Student's t for few degrees of freedom, the
// printed tables, and the sleep data of Student (1908).
#include "experiments/report/statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/base/check.h"

using namespace basin;
using namespace basin::report;

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

TEST_CASE("Welch's interval on the sleep data") {
  // R: t.test(extra ~ group, data = sleep), t = -1.8608 with 17.776 degrees of freedom.
  const std::vector<double> first = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const std::vector<double> second = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const MeanInterval difference = welch_difference(first, second);
  CHECK(difference.mean == doctest::Approx(-1.58));
  CHECK(difference.lower == doctest::Approx(-3.3654832).epsilon(1e-7));
  CHECK(difference.upper == doctest::Approx(0.2054832).epsilon(1e-6));
  const std::vector<double> equal = {2, 2}, one = {1};
  CHECK(welch_difference(equal, equal).upper == 0);
  CHECK_THROWS_AS(welch_difference(first, one), Error);
}

TEST_CASE("slope by least squares") {
  CHECK(slope(std::vector<double>{1, 3, 5}) == doctest::Approx(2));
  CHECK(slope(std::vector<double>{0, 1, 0}) == doctest::Approx(0));
  CHECK(slope(std::vector<double>{4, 1}) == doctest::Approx(-3));
  CHECK_THROWS_AS(slope(std::vector<double>{1}), Error);
}

TEST_CASE("rank correlation") {
  const auto of = [](const std::vector<double>& first, const std::vector<double>& second) {
    return rank_correlation(first, second);
  };
  const double infinite = std::numeric_limits<double>::infinity();
  CHECK(of({1, 2, 3, 4}, {10, 20, 30, infinite}).coefficient == doctest::Approx(1));
  CHECK(of({1, 2, 3, 4}, {10, 20, 30, infinite}).p_value == doctest::Approx(1.0 / 24));
  CHECK(of({1, 2, 3, 4}, {1, 2, 4, 3}).coefficient == doctest::Approx(0.8));
  CHECK(of({1, 2, 3, 4}, {1, 2, 4, 3}).p_value == doctest::Approx(4.0 / 24));  // 1 and three of 0.8
  CHECK(of({1, 2, 3}, {3, 2, 1}).coefficient == doctest::Approx(-1));
  CHECK(of({1, 2, 3}, {3, 2, 1}).p_value == doctest::Approx(1));
  CHECK(of({1, 2, 3}, {5, 5, 5}).coefficient == 0);
  // Ties, after the documentation of scipy.stats.spearmanr.
  CHECK(of({1, 2, 3, 4, 5}, {5, 6, 7, 8, 7}).coefficient == doctest::Approx(0.8207826817));
  // More than 8 values: the t distribution. One exchange in 10 makes 1 - 6 * 2 / 990.
  const RankCorrelation many = of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {1, 2, 3, 4, 5, 6, 7, 8, 10, 9});
  CHECK(many.coefficient == doctest::Approx(1 - 12.0 / 990));
  CHECK(many.p_value > 0);
  CHECK(many.p_value < 1e-6);
  CHECK_THROWS_AS(of({1, 2}, {1, 2}), Error);
  CHECK_THROWS_AS(of({1, 2, 3}, {1, 2}), Error);
}

TEST_CASE("sign test") {
  CHECK(sign_test(5, 5) == doctest::Approx(1.0 / 32));
  CHECK(sign_test(4, 5) == doctest::Approx(6.0 / 32));
  CHECK(sign_test(0, 5) == doctest::Approx(1));
  CHECK(sign_test(13, 18) == doctest::Approx(0.0481262).epsilon(1e-5));
  CHECK_THROWS_AS(sign_test(3, 2), Error);
}
