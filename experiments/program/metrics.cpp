// Rank statistics of scores.
#include "experiments/program/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace basin {

double roc_auc(const std::vector<float>& scores, const std::vector<uint8_t>& positives) {
  // NaN has no rank, and the sort below none of the order it relies on.
  for (const float score : scores) {
    if (std::isnan(score)) return std::numeric_limits<double>::quiet_NaN();
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  // Mann-Whitney: the sum of the positives' ranks, equal scores sharing their mean rank.
  double rank_sum = 0, count = 0;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && scores[order[end]] == scores[order[begin]]) ++end;
    const double rank = (static_cast<double>(begin + 1) + static_cast<double>(end)) / 2;
    for (size_t i = begin; i < end; ++i) {
      if (positives[order[i]]) {
        rank_sum += rank;
        ++count;
      }
    }
    begin = end;
  }
  const double negatives = static_cast<double>(scores.size()) - count;
  if (count == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  return (rank_sum - count * (count + 1) / 2) / (count * negatives);
}

}  // namespace basin
