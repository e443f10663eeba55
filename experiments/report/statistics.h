// The statistics of the report: summaries over repeated runs, intervals and tests by Student's t.
#pragma once

#include <cstddef>
#include <span>

namespace basin::report {

// 95 % of a normal distribution lie within this many standard deviations of its mean.
constexpr double kNormalQuantile = 1.96;

// Arithmetic mean of one or more values.
double mean(std::span<const double> values);

// Standard deviation of a sample of two or more values: sqrt(sum (x - mean)^2 / (n - 1)).
double sample_standard_deviation(std::span<const double> values);

// Standard error of the mean of two or more values: sample standard deviation / sqrt(n).
double standard_error(std::span<const double> values);

// P(T <= t) for Student's t with `degrees_of_freedom` > 0, through the incomplete beta function.
double student_t_cdf(double t, double degrees_of_freedom);

// The t with P(T <= t) = probability; 0 < probability < 1.
double student_t_quantile(double probability, double degrees_of_freedom);

// A mean and its two-sided confidence interval. The interval supposes values drawn independently
// from a normal distribution.
struct MeanInterval {
  double mean;
  double lower;
  double upper;
  std::size_t n;
};
// Needs two or more values; `confidence` in (0, 1).
MeanInterval mean_interval(std::span<const double> values, double confidence = 0.95);

// Student's paired test of "the mean of first[i] - second[i] is 0".
struct PairedDifference {
  MeanInterval difference;    // 95 % interval of the mean difference
  double t;                   // mean / standard error; infinite where all differences are equal
  double degrees_of_freedom;  // n - 1
  double p_value;             // two-sided
};
// Needs two or more pairs.
PairedDifference paired_difference(std::span<const double> first, std::span<const double> second);

// mean(first) - mean(second) of two independent samples of two or more values each, with its 95 %
// interval after Welch (variances may differ); n is the size of both samples together.
MeanInterval welch_difference(std::span<const double> first, std::span<const double> second);

// The slope of the straight line through (0, values[0]), (1, values[1]), ... by least squares.
// Needs two or more values.
double slope(std::span<const double> values);

constexpr std::size_t kMostEnumerated = 8;  // values whose orders are all counted: 40,320

// Spearman's rank correlation; ties share their mean rank, infinite values are the largest.
struct RankCorrelation {
  double coefficient;  // 0 where all values of one side are equal
  // The probability of a coefficient at least as large where the two are not related: from all
  // orders for up to kMostEnumerated values, by Student's t for more.
  double p_value;
};
// Needs three or more pairs.
RankCorrelation rank_correlation(std::span<const double> first, std::span<const double> second);

// The probability of at least `wins` heads in `trials` tosses of a fair coin: the one-sided sign
// test.
double sign_test(std::size_t wins, std::size_t trials);

}  // namespace basin::report
