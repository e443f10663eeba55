// The analyses of features, weights and scores against NumPy and scikit-learn (analyses.json).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/linear_algebra.h"
#include "experiments/cka/cka.h"
#include "experiments/program/metrics.h"
#include "experiments/spectrum/spectrum.h"
#include "tests/golden/golden.h"

using namespace basin;

namespace {

nlohmann::json cases_of(const std::string& analysis) {
  std::ifstream file(BASIN_GOLDEN_FOLDER "/analyses.json");
  REQUIRE(file);
  const nlohmann::json cases = nlohmann::json::parse(file).at(analysis);
  REQUIRE(cases.size() >= 3);
  return cases;
}

Tensor tensor_of(const std::vector<float>& values, Shape shape) {
  Tensor tensor(allocate_state(shape.elements() * 4), shape, DType::kF32);
  REQUIRE(tensor.size() == static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), tensor.data<float>());
  return tensor;
}

}  // namespace

TEST_CASE("golden: HSIC and CKA") {
  Stream stream(Device::kCpu);
  StepArena arena(int64_t{64} << 20);
  for (const auto& file : cases_of("cka")) {
    const std::string name = file.at("name");
    CAPTURE(name);
    const int64_t places = file.at("places"), channels = file.at("channels");
    const double center = file.at("center");
    FeatureSimilarity similarity;
    const auto batches = file.at("batches").get<std::vector<int64_t>>();
    for (size_t batch = 0; batch < batches.size(); ++batch) {
      const int64_t count = batches[batch] * places * channels;
      const std::string number = std::to_string(batch);
      std::vector<float> a = golden::values(name + ":a:" + number, count, center);
      std::vector<float> b = golden::values(name + ":c:" + number, count);
      for (size_t i = 0; i < a.size(); ++i) {
        b[i] = std::max((a[i] + b[i]) / 2, 0.0f);
        a[i] = std::max(a[i], 0.0f);
      }
      Tape tape(stream, arena, false);
      const Shape shape{batches[batch], places, 1, channels};
      const FeatureGrams grams_a = feature_grams(tape, tensor_of(a, shape)),
                         grams_b = feature_grams(tape, tensor_of(b, shape));
      const auto expected = file.at("hsic").at(batch).get<std::vector<double>>();
      const double scale = std::sqrt(expected[1] * expected[2]);
      const HsicValues hsic = unbiased_hsic(grams_a.image, grams_b.image, batches[batch]);
      CHECK(std::abs(hsic.kl - expected[0]) < 1e-5 * scale);
      CHECK(std::abs(hsic.kk - expected[1]) < 1e-5 * scale);
      CHECK(std::abs(hsic.ll - expected[2]) < 1e-5 * scale);
      similarity.add(grams_a, grams_b);
    }
    CHECK(std::abs(similarity.cka() - file.at("cka").get<double>()) < 1e-5);
    CHECK(std::abs(similarity.aligned_cka() - file.at("aligned").get<double>()) < 1e-5);
  }
}

TEST_CASE("golden: singular values and ranks") {
  for (const auto& file : cases_of("spectrum")) {
    const std::string name = file.at("name");
    CAPTURE(name);
    const int64_t rows = file.at("rows"), columns = file.at("columns"), repeat = file.at("repeat");
    const double decay = file.at("decay");
    const std::vector<float> drawn = golden::values(name, repeat * columns);
    std::vector<float> values;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        values.push_back(static_cast<float>(drawn[static_cast<size_t>(i % repeat * columns + j)] *
                                            std::pow(decay, static_cast<double>(j))));
      }
    }
    const std::vector<double> actual = singular_values(values, rows);
    const auto expected = file.at("values").get<std::vector<double>>();
    REQUIRE(actual.size() == expected.size());
    // Far below the 1e-5 that the analysis needs, so that the small values, of which the effective
    // rank is made, are right as well.
    for (size_t i = 0; i < actual.size(); ++i) {
      CAPTURE(i);
      CHECK(std::abs(actual[i] - expected[i]) < 1e-12 * expected[0]);
    }
    const SpectrumSummary summary = summarise_spectrum(actual);
    auto check = [&](double value, const char* key) {
      CHECK(value == doctest::Approx(file.at(key).get<double>()).epsilon(1e-10));
    };
    check(summary.spectral_norm, "spectral_norm");
    check(summary.frobenius_norm, "frobenius_norm");
    check(summary.stable_rank, "stable_rank");
    check(summary.effective_rank, "effective_rank");
  }
}

TEST_CASE("golden: area under the ROC curve") {
  for (const auto& file : cases_of("auc")) {
    const auto scores = file.at("scores").get<std::vector<float>>();
    const auto positives = file.at("positives").get<std::vector<uint8_t>>();
    CHECK(roc_auc(scores, positives) ==
          doctest::Approx(file.at("auc").get<double>()).epsilon(1e-12));
  }
}
