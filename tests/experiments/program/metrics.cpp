// The area under the ROC curve against hand-worked values.
#include "experiments/program/metrics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/base/random.h"

using namespace basin;

TEST_CASE("AUC: hand-worked rankings") {
  CHECK(roc_auc({1, 2, 3, 4}, {0, 0, 1, 1}) == 1);
  CHECK(roc_auc({4, 3, 2, 1}, {0, 0, 1, 1}) == 0);
  // scikit-learn's example: of the four pairs, only 0.35 < 0.4 is wrong.
  CHECK(roc_auc({0.1f, 0.4f, 0.35f, 0.8f}, {0, 0, 1, 1}) == 0.75);
  // Unequal classes: the positive 2 beats 1 and loses to 3 and 4.
  CHECK(roc_auc({3, 2, 1, 4}, {0, 1, 0, 0}) == doctest::Approx(1.0 / 3).epsilon(1e-15));
}

TEST_CASE("AUC: ties count half") {
  CHECK(roc_auc({5, 5, 5, 5, 5}, {1, 0, 1, 0, 0}) == 0.5);
  CHECK(roc_auc({1, 1}, {0, 1}) == 0.5);
  // Pairs (positive, negative): (2,2) half, (2,1) one, (3,2) one, (3,1) one.
  CHECK(roc_auc({2, 2, 3, 1}, {1, 0, 1, 0}) == 0.875);
  CHECK(roc_auc({0.0f, -0.0f}, {0, 1}) == 0.5);
}

TEST_CASE("AUC: not a number when a class is empty") {
  CHECK(std::isnan(roc_auc({1, 2, 3}, {0, 0, 0})));
  CHECK(std::isnan(roc_auc({1, 2, 3}, {1, 1, 1})));
  CHECK(std::isnan(roc_auc({}, {})));
}

TEST_CASE("AUC: not a number when a score is not, as those of a diverged network") {
  const float nan = std::nanf("");
  CHECK(std::isnan(roc_auc({1, nan, 3, 2}, {0, 1, 1, 0})));
  CHECK(std::isnan(roc_auc({nan, nan}, {0, 1})));
  const float infinite = INFINITY;
  CHECK(roc_auc({-infinite, infinite, infinite, 2}, {0, 1, 0, 1}) == 0.625);
}

TEST_CASE("AUC: the share of pairs ranked rightly") {
  RandomStream random(4, RandomPurpose::kNoise);
  std::vector<float> scores;
  std::vector<uint8_t> positives;
  for (int i = 0; i < 200; ++i) {
    scores.push_back(static_cast<float>(random.below(40)));  // many ties
    positives.push_back(random.below(3) == 0);
  }
  double right = 0, pairs = 0;
  for (size_t p = 0; p < scores.size(); ++p) {
    for (size_t n = 0; n < scores.size(); ++n) {
      if (!positives[p] || positives[n]) continue;
      ++pairs;
      right += scores[p] > scores[n] ? 1 : scores[p] == scores[n] ? 0.5 : 0;
    }
  }
  CHECK(roc_auc(scores, positives) == doctest::Approx(right / pairs).epsilon(1e-13));
}
