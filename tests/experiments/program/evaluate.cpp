// Evaluation against a count over single images.
#include "experiments/program/evaluate.h"

#include <algorithm>
#include <cmath>

#include "tests/experiments/tiny_data.h"

using namespace basin;
using namespace basin::test;

namespace {

// The logits of one image of a set made by tiny_info(), normalised here.
std::vector<double> logits_of(Network& network, const data::Dataset& set, int64_t index,
                              Session& session) {
  std::vector<uint8_t> pixels(static_cast<size_t>(set.image_bytes()));
  set.read(index, pixels.data());
  const Shape shape{1, set.height(), set.width(), 3};
  Tensor image(allocate_state(shape.elements() * 4), shape, DType::kF32);
  for (size_t i = 0; i < pixels.size(); ++i) {
    image.data<float>()[i] = (static_cast<float>(pixels[i]) / 255 - 0.5f) / 0.25f;
  }
  Tape tape(session.stream, session.arena, false);
  const Tensor logits = network.forward(tape, image, Mode::kEvaluate);
  return {logits.data<float>(), logits.data<float>() + set.classes()};
}

}  // namespace

TEST_CASE("evaluate: accuracy, loss and predictions, with a last batch that is not full") {
  const auto session = small_session();
  for (const bool batch_norm : {false, true}) {
    const auto network = batch_norm ? lively_network("resnet8", session->stream, 3)
                                    : lively_network("fixup_resnet8", session->stream, 2);
    const auto set = tiny_set(23, 8, 3);
    double loss = 0;
    int64_t correct = 0;
    std::vector<int32_t> predictions;
    for (int64_t i = 0; i < set->size(); ++i) {
      const std::vector<double> logits = logits_of(*network, *set, i, *session);
      const auto best = std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const double logit : logits) sum += std::exp(logit - *best);
      loss += *best + std::log(sum) - logits[static_cast<size_t>(set->label(i))];
      predictions.push_back(static_cast<int32_t>(best - logits.begin()));
      correct += predictions.back() == set->label(i);
    }
    // The network tells images apart, or a mistake in the order of the rows would go unseen.
    CHECK(std::count(predictions.begin(), predictions.end(), predictions[0]) < set->size());
    for (const int64_t batch_size : {5, 23, 100}) {
      EvaluationSet evaluation_set(set, {.batch_size = batch_size}, *session);
      CHECK(evaluation_set.size() == 23);
      for (int repeat = 0; repeat < 2; ++repeat) {
        const Evaluation evaluation = evaluation_set.evaluate(*network);
        CHECK(evaluation.loss == doctest::Approx(loss / 23).epsilon(1e-5));
        CHECK(evaluation.score == static_cast<double>(correct) / 23);
        CHECK(evaluation.predictions == predictions);
      }
    }
  }
}

TEST_CASE("evaluate: order, augmentation and mixup are off") {
  const auto session = small_session();
  const auto network = lively_network("fixup_resnet8", session->stream, 2);
  const auto set = tiny_set(23, 8, 3);
  EvaluationSet plain(set, {.batch_size = 5}, *session);
  EvaluationSet noisy(
      set, {.batch_size = 5, .shuffle = true, .augment = true, .mixup_alpha = 1, .workers = 2},
      *session);
  const Evaluation a = plain.evaluate(*network), b = noisy.evaluate(*network);
  CHECK(a.loss == b.loss);
  CHECK(a.predictions == b.predictions);
}

TEST_CASE("evaluate: the mean AUC over the labels of a multi-label set") {
  const auto session = small_session();
  const auto network = lively_network("fixup_resnet8", session->stream, 6);
  constexpr int64_t kImages = 19;
  std::vector<uint8_t> rows;
  for (int64_t i = 0; i < kImages; ++i) {
    for (const int64_t period : {2, 3, 5}) rows.push_back(i % period == 0);
  }
  const auto set = std::make_shared<const data::ArrayDataset>(tiny_info(8, 3, true), rows,
                                                              noise_pixels(kImages, 8));
  std::vector<std::vector<double>> logits;
  double loss = 0;
  for (int64_t i = 0; i < kImages; ++i) {
    logits.push_back(logits_of(*network, *set, i, *session));
    for (size_t label = 0; label < 3; ++label) {
      const double z = logits.back()[label], y = rows[static_cast<size_t>(i) * 3 + label];
      loss += std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0) - y * z;
    }
  }
  double auc = 0;
  std::vector<double> label_auc;
  for (size_t label = 0; label < 3; ++label) {
    double right = 0, pairs = 0;
    for (size_t p = 0; p < kImages; ++p) {
      for (size_t n = 0; n < kImages; ++n) {
        if (!rows[p * 3 + label] || rows[n * 3 + label]) continue;
        ++pairs;
        right += logits[p][label] > logits[n][label];
      }
    }
    label_auc.push_back(right / pairs);
    auc += right / pairs / 3;
  }
  EvaluationSet evaluation_set(set, {.batch_size = 4}, *session);
  REQUIRE(evaluation_set.multi_label());
  const Evaluation evaluation = evaluation_set.evaluate(*network);
  CHECK(evaluation.score == doctest::Approx(auc).epsilon(1e-12));
  CHECK(evaluation.predictions.empty());
  REQUIRE(evaluation.logits.size() == kImages * 3);
  for (size_t i = 0; i < evaluation.logits.size(); ++i) {
    CHECK(evaluation.logits[i] == doctest::Approx(logits[i / 3][i % 3]).epsilon(1e-4));
  }
  REQUIRE(evaluation.label_auc.size() == 3);
  for (size_t label = 0; label < 3; ++label) {
    CHECK(evaluation.label_auc[label] == doctest::Approx(label_auc[label]).epsilon(1e-12));
  }
  // The mean over images and labels.
  CHECK(evaluation.loss == doctest::Approx(loss / kImages / 3).epsilon(1e-5));
}
