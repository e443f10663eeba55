// Means, intervals and Student's t.
#include "experiments/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/base/check.h"

namespace basin::report {
namespace {

// The continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated from the front
// by Lentz's method. Converges fast for x < (a + 1) / (a + b + 2).
double beta_continued_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;  // stands for a zero that would be divided by
  constexpr int kMaximumTerms = 10000;
  const auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double numerator_ratio = 1;
  double denominator_ratio = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double value = denominator_ratio;
  for (int m = 1; m < kMaximumTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    denominator_ratio = 1 / away_from_zero(1 + even * denominator_ratio);
    numerator_ratio = away_from_zero(1 + even / numerator_ratio);
    value *= denominator_ratio * numerator_ratio;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    denominator_ratio = 1 / away_from_zero(1 + odd * denominator_ratio);
    numerator_ratio = away_from_zero(1 + odd / numerator_ratio);
    const double change = denominator_ratio * numerator_ratio;
    value *= change;
    if (std::abs(change - 1) < 1e-15) return value;
  }
  throw Error(
      concat("incomplete beta function: no convergence for a = ", a, ", b = ", b, ", x = ", x));
}

// I_x(a, b), the regularised incomplete beta function; `complement` is 1 - x without cancellation.
double incomplete_beta(double a, double b, double x, double complement) {
  if (x <= 0) return 0;
  if (complement <= 0) return 1;
  const double log_front = std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) +
                           b * std::log(complement);
  if (x < (a + 1) / (a + b + 2)) {
    return std::exp(log_front) * beta_continued_fraction(a, b, x) / a;
  }
  return 1 - std::exp(log_front) * beta_continued_fraction(b, a, complement) / b;
}

// P(|T| > t).
double two_sided_tail(double t, double degrees_of_freedom) {
  if (std::isinf(t)) return 0;
  const double total = degrees_of_freedom + t * t;
  return incomplete_beta(degrees_of_freedom / 2, 0.5, degrees_of_freedom / total, t * t / total);
}

// 1 for the smallest value; equal values share the mean of their ranks.
std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    double below = 0, equal = 0;
    for (const double value : values) {
      below += value < values[i];
      equal += value == values[i];
    }
    ranks[i] = below + (equal + 1) / 2;
  }
  return ranks;
}

double correlation(const std::vector<double>& first, const std::vector<double>& second) {
  const double first_mean = mean(first), second_mean = mean(second);
  double product = 0, first_square = 0, second_square = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const double a = first[i] - first_mean, b = second[i] - second_mean;
    product += a * b;
    first_square += a * a;
    second_square += b * b;
  }
  if (first_square == 0 || second_square == 0) return 0;
  return product / std::sqrt(first_square * second_square);
}

}  // namespace

double mean(std::span<const double> values) {
  BASIN_CHECK(!values.empty(), "mean of no values");
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double sample_standard_deviation(std::span<const double> values) {
  BASIN_CHECK(values.size() >= 2, "standard deviation of ", values.size(),
              " values; at least 2 are needed");
  const double center = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - center) * (value - center);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double standard_error(std::span<const double> values) {
  return sample_standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
}

double student_t_cdf(double t, double degrees_of_freedom) {
  BASIN_CHECK(degrees_of_freedom > 0, "Student's t with ", degrees_of_freedom,
              " degrees of freedom; more than 0 are needed");
  const double tail = two_sided_tail(t, degrees_of_freedom) / 2;
  return t > 0 ? 1 - tail : tail;
}

double student_t_quantile(double probability, double degrees_of_freedom) {
  BASIN_CHECK(probability > 0 && probability < 1, "quantile at probability ", probability,
              "; it must lie between 0 and 1");
  if (probability == 0.5) return 0;
  if (probability < 0.5) return -student_t_quantile(1 - probability, degrees_of_freedom);
  double low = 0;
  double high = 1;
  while (student_t_cdf(high, degrees_of_freedom) < probability) high *= 2;
  // The distribution function is monotone: halve until the bracket holds no further number.
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (student_t_cdf(middle, degrees_of_freedom) < probability ? low : high) = middle;
  }
}

MeanInterval mean_interval(std::span<const double> values, double confidence) {
  BASIN_CHECK(confidence > 0 && confidence < 1, "confidence ", confidence,
              "; it must lie between 0 and 1");
  const double error = standard_error(values);
  const double center = mean(values);
  const double half_width =
      error * student_t_quantile((1 + confidence) / 2, static_cast<double>(values.size() - 1));
  return {center, center - half_width, center + half_width, values.size()};
}

PairedDifference paired_difference(std::span<const double> first, std::span<const double> second) {
  BASIN_CHECK(first.size() == second.size(), "paired difference of ", first.size(), " and ",
              second.size(), " values; each value needs its partner");
  std::vector<double> differences(first.size());
  for (std::size_t i = 0; i < first.size(); ++i) differences[i] = first[i] - second[i];
  const MeanInterval interval = mean_interval(differences);
  const double error = standard_error(differences);
  const double degrees_of_freedom = static_cast<double>(differences.size() - 1);
  double t = 0;
  if (interval.mean != 0) {
    t = error > 0 ? interval.mean / error
                  : std::copysign(std::numeric_limits<double>::infinity(), interval.mean);
  }
  return {interval, t, degrees_of_freedom, two_sided_tail(t, degrees_of_freedom)};
}

MeanInterval welch_difference(std::span<const double> first, std::span<const double> second) {
  const double a = std::pow(standard_error(first), 2);
  const double b = std::pow(standard_error(second), 2);
  const double center = mean(first) - mean(second);
  const std::size_t n = first.size() + second.size();
  if (a + b == 0) return {center, center, center, n};
  const double degrees_of_freedom = (a + b) * (a + b) /
                                    (a * a / static_cast<double>(first.size() - 1) +
                                     b * b / static_cast<double>(second.size() - 1));
  const double half_width = std::sqrt(a + b) * student_t_quantile(0.975, degrees_of_freedom);
  return {center, center - half_width, center + half_width, n};
}

double slope(std::span<const double> values) {
  BASIN_CHECK(values.size() >= 2, "slope of ", values.size(), " values; at least 2 are needed");
  const double middle = static_cast<double>(values.size() - 1) / 2;
  double product = 0, square = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(i) - middle;
    product += x * values[i];
    square += x * x;
  }
  return product / square;
}

RankCorrelation rank_correlation(std::span<const double> first, std::span<const double> second) {
  BASIN_CHECK(first.size() == second.size() && first.size() >= 3, "rank correlation of ",
              first.size(), " and ", second.size(), " values; at least 3 pairs are needed");
  const std::vector<double> x = ranks_of(first), y = ranks_of(second);
  const double coefficient = correlation(x, y);
  if (x.size() > kMostEnumerated) {
    const double degrees_of_freedom = static_cast<double>(x.size() - 2);
    if (coefficient >= 1) return {coefficient, 0};
    if (coefficient <= -1) return {coefficient, 1};
    const double t = coefficient * std::sqrt(degrees_of_freedom / (1 - coefficient * coefficient));
    return {coefficient, 1 - student_t_cdf(t, degrees_of_freedom)};
  }
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::size_t as_large = 0, orders = 0;
  do {
    std::vector<double> permuted(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) permuted[i] = y[order[i]];
    as_large += correlation(x, permuted) >= coefficient - 1e-9;
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  return {coefficient, static_cast<double>(as_large) / static_cast<double>(orders)};
}

double sign_test(std::size_t wins, std::size_t trials) {
  BASIN_CHECK(wins <= trials, "sign test: ", wins, " wins in ", trials, " trials");
  const auto n = static_cast<double>(trials);
  double probability = 0;
  for (std::size_t i = wins; i <= trials; ++i) {
    const auto k = static_cast<double>(i);
    probability += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                            n * std::log(2));
  }
  return std::min(1.0, probability);
}

}  // namespace basin::report
