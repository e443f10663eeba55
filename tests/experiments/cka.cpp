// CKA: hand-worked HSIC, its invariances, and whole networks against sums over tapped features.
#include "experiments/cka/cka.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/parallel.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

// A stage's output [images, side, side, channels], not centred.
Tensor features(int64_t images, int64_t side, int64_t channels, uint32_t seed) {
  const Tensor x = random_tensor({images, side, side, channels}, DType::kF32, seed);
  for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] += 0.5f;
  return x;
}

// y[row, j] = sum_k x[row, k] * m[k][j] over the channels.
Tensor map_channels(const Tensor& x, const std::vector<std::vector<double>>& m) {
  const auto channels = static_cast<int64_t>(m.size());
  Tensor y(allocate_state(x.size() * 4), x.shape(), DType::kF32);
  for (int64_t i = 0; i < x.size(); ++i) {
    double sum = 0;
    for (int64_t k = 0; k < channels; ++k) {
      sum += x.data<float>()[i / channels * channels + k] *
             m[static_cast<size_t>(k)][static_cast<size_t>(i % channels)];
    }
    y.data<float>()[i] = static_cast<float>(sum);
  }
  return y;
}

struct Values {
  double cka, aligned;
};

class Comparison {
 public:
  Values operator()(const Tensor& a, const Tensor& b) {
    Tape tape(session_->stream, session_->arena, false);
    FeatureSimilarity similarity;
    similarity.add(feature_grams(tape, a), feature_grams(tape, b));
    return {similarity.cka(), similarity.aligned_cka()};
  }

 private:
  std::unique_ptr<Session> session_ = small_session();
};

// What `tap` sees of `module` for images of the set, as rows of doubles.
std::vector<std::vector<double>> tapped(Network& network, const data::Dataset& set,
                                        const std::vector<int64_t>& images,
                                        const std::string& module, Session& session) {
  std::vector<std::vector<double>> rows;
  std::vector<uint8_t> pixels(static_cast<size_t>(set.image_bytes()));
  for (const int64_t index : images) {
    set.read(index, pixels.data());
    Tape tape(session.stream, session.arena, false);
    const Tensor image = tape.empty({1, set.height(), set.width(), 3}, DType::kF32);
    for (size_t i = 0; i < pixels.size(); ++i) {
      image.data<float>()[i] = (static_cast<float>(pixels[i]) / 255 - 0.5f) / 0.25f;
    }
    network.forward(tape, image, Mode::kEvaluate,
                    [&](const std::string& name, const Tensor& value) {
                      if (name != module) return;
                      rows.emplace_back(value.data<float>(), value.data<float>() + value.size());
                    });
  }
  return rows;
}

std::vector<double> gram(const std::vector<std::vector<double>>& rows) {
  std::vector<double> k;
  for (const auto& a : rows) {
    for (const auto& b : rows) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
      k.push_back(sum);
    }
  }
  return k;
}

// [channels][images * places]
std::vector<std::vector<double>> by_channel(const std::vector<std::vector<double>>& rows,
                                            size_t channels) {
  std::vector<std::vector<double>> result(channels);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) result[i % channels].push_back(row[i]);
  }
  return result;
}

double cka_of(const std::vector<std::vector<double>>& a,
              const std::vector<std::vector<double>>& b) {
  const auto k = gram(a), l = gram(b);
  const auto n = static_cast<int64_t>(a.size());
  const HsicValues hsic = unbiased_hsic(k, l, n);
  return hsic.kl / std::sqrt(hsic.kk * hsic.ll);
}

}  // namespace

TEST_CASE("HSIC: four examples by hand; diagonals and additive terms do not matter") {
  // K~ has the one pair (0, 1), L~ too: trace 2, sums 2 and 2, 1^T K~ L~ 1 = 2.
  // (2 + 2*2/(3*2) - 2/2*2) / (4*1) = 1/6.
  std::vector<double> k(16, 0);
  k[1] = k[4] = 1;
  CHECK(unbiased_hsic(k, k, 4).kl == doctest::Approx(1.0 / 6).epsilon(1e-14));
  // L~ has the pair (2, 3): (0 + 4/6 - 0) / 4 = 1/6. In four examples the pairs (0, 1) and (2, 3)
  // are the same partition.
  std::vector<double> l(16, 0);
  l[11] = l[14] = 1;
  CHECK(unbiased_hsic(k, l, 4).kl == doctest::Approx(1.0 / 6).epsilon(1e-14));
  // The pair (0, 2): (0 + 4/6 - 2/2 * 1) / 4 = -1/12.
  std::vector<double> m(16, 0);
  m[2] = m[8] = 1;
  CHECK(unbiased_hsic(k, m, 4).kl == doctest::Approx(-1.0 / 12).epsilon(1e-14));

  std::vector<double> shifted = k;
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) shifted[i * 4 + j] += 3.0 * static_cast<double>(i + j);
    shifted[i * 5] = 100;
  }
  CHECK(unbiased_hsic(shifted, m, 4).kl == doctest::Approx(-1.0 / 12).epsilon(1e-12));
  CHECK(contains(error_of([&] { unbiased_hsic({1, 2, 2, 1}, {1, 2, 2, 1}, 2); }), "not for 2"));
}

TEST_CASE("CKA: of features with themselves is 1, with unrelated ones near 0") {
  Comparison compare;
  const Tensor x = features(64, 4, 32, 1), y = features(64, 4, 32, 2);
  const Values same = compare(x, x), other = compare(x, y);
  CHECK(same.cka == doctest::Approx(1).epsilon(1e-12));
  CHECK(same.aligned == doctest::Approx(1).epsilon(1e-12));
  CHECK(std::abs(other.cka) < 0.1);
  CHECK(std::abs(other.aligned) < 0.1);
}

TEST_CASE("CKA: invariant to orthogonal maps, factors and shifts; the aligned one sees channels") {
  Comparison compare;
  const Tensor x = features(32, 3, 6, 1);
  // A reflection I - 2 v v^T / |v|^2 mixes all channels.
  const double v[6] = {1, -2, 3, 1, 0.5, -1};
  std::vector<std::vector<double>> reflection(6, std::vector<double>(6)),
      permutation(6, std::vector<double>(6)), factor(6, std::vector<double>(6)),
      squeeze(6, std::vector<double>(6));
  double norm = 0;
  for (const double value : v) norm += value * value;
  for (size_t i = 0; i < 6; ++i) {
    for (size_t j = 0; j < 6; ++j) reflection[i][j] = (i == j ? 1 : 0) - 2 * v[i] * v[j] / norm;
    permutation[i][(i + 2) % 6] = 1;
    factor[i][i] = -7.5;
    squeeze[i][i] = i < 3 ? 1 : 0.01;
  }
  auto check_invariant = [&](const std::vector<std::vector<double>>& map) {
    CHECK(compare(x, map_channels(x, map)).cka == doctest::Approx(1).epsilon(1e-5));
  };
  check_invariant(reflection);
  check_invariant(permutation);
  check_invariant(factor);
  CHECK(compare(x, map_channels(x, squeeze)).cka < 0.95);  // no orthogonal map

  const Tensor shifted = map_channels(x, factor);
  for (int64_t i = 0; i < shifted.size(); ++i) {
    shifted.data<float>()[i] += static_cast<float>(i % 6);
  }
  CHECK(compare(x, shifted).cka == doctest::Approx(1).epsilon(1e-5));

  CHECK(compare(x, map_channels(x, factor)).aligned == doctest::Approx(1).epsilon(1e-5));
  CHECK(compare(x, map_channels(x, permutation)).aligned < 0.9);
}

TEST_CASE("CKA: the aligned one does not see orthogonal maps of the examples") {
  Comparison compare;
  const Tensor x = features(16, 2, 8, 1);
  Tensor reversed(allocate_state(x.size() * 4), x.shape(), DType::kF32);
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t image = i / 32;
    reversed.data<float>()[i] = -x.data<float>()[(15 - image) * 32 + i % 32];
  }
  CHECK(compare(x, reversed).aligned == doctest::Approx(1).epsilon(1e-5));
  CHECK(compare(x, reversed).cka < 0.9);
}

TEST_CASE("CKA: no number where features do not vary or channels do not match") {
  Comparison compare;
  const Tensor x = features(7, 2, 4, 1), constant = features(7, 2, 4, 2);
  for (int64_t i = 0; i < constant.size(); ++i) {
    constant.data<float>()[i] = 0.1f * static_cast<float>(i % 16);  // the same for all images
  }
  CHECK(std::isnan(compare(x, constant).cka));
  CHECK_FALSE(std::isnan(compare(x, constant).aligned));
  std::fill_n(constant.data<float>(), constant.size(), 0.7f);
  CHECK(std::isnan(compare(x, constant).cka));
  CHECK(std::isnan(compare(x, constant).aligned));
  const Values wider = compare(x, features(7, 2, 5, 2));
  CHECK_FALSE(std::isnan(wider.cka));
  CHECK(std::isnan(wider.aligned));
  CHECK(std::isnan(compare(features(8, 2, 3, 1), features(8, 2, 3, 1)).aligned));
}

TEST_CASE("CKA: networks, stage by stage, against their tapped features") {
  const auto session = small_session();
  for (const std::string model : {"fixup_resnet14", "resnet14"}) {
    CAPTURE(model);
    const auto a = lively_network(model, session->stream, 1),
               b = lively_network(model, session->stream, 2);
    const auto set = tiny_set(12, 8, 3);
    const CkaResult result = cka(*a, *b, set, 12, *session);
    CHECK(result.images == 12);
    CHECK(result.dropped == 0);
    const std::vector<std::string> stages = {"conv1", "layer1", "layer2", "layer3"},
                                   modules = {"conv1", "layer1.1", "layer2.1", "layer3.1"};
    REQUIRE(result.stages.size() == 4);
    std::vector<int64_t> images;
    for (int64_t i = 0; i < 12; ++i) images.push_back(i);
    for (size_t i = 0; i < 4; ++i) {
      CAPTURE(stages[i]);
      CHECK(result.stages[i].module == stages[i]);
      // One batch of all images: their order does not matter.
      const auto x = tapped(*a, *set, images, modules[i], *session),
                 y = tapped(*b, *set, images, modules[i], *session);
      const size_t channels = i < 2 ? 4 : i == 2 ? 8 : 16;
      CHECK(std::abs(result.stages[i].cka - cka_of(x, y)) < 1e-5);
      CHECK(std::abs(result.stages[i].aligned_cka -
                     cka_of(by_channel(x, channels), by_channel(y, channels))) < 1e-5);
    }
    for (const StageSimilarity& stage : cka(*a, *a, set, 12, *session).stages) {
      CHECK(stage.cka == doctest::Approx(1).epsilon(1e-12));
      CHECK(stage.aligned_cka == doctest::Approx(1).epsilon(1e-12));
    }
  }
}

TEST_CASE("CKA: batches are drawn at random, and a last one below four is left out") {
  const auto session = small_session();
  const auto a = lively_network("fixup_resnet8", session->stream, 1),
             b = lively_network("fixup_resnet8", session->stream, 2);
  // 23 = 2 * 10 + 3, and = 3 * 6 + 5.
  const auto set = tiny_set(23, 8, 3);
  const CkaResult dropped = cka(*a, *b, set, 10, *session);
  CHECK(dropped.images == 20);
  CHECK(dropped.dropped == 3);
  const CkaResult full = cka(*a, *b, set, 6, *session);
  CHECK(full.images == 23);
  CHECK(full.dropped == 0);
  // In the set's own order the first batch would hold images 0 to 9.
  std::vector<int64_t> first, second;
  for (int64_t i = 0; i < 10; ++i) {
    first.push_back(i);
    second.push_back(i + 10);
  }
  double hsic[3] = {};
  for (const auto& images : {first, second}) {
    const auto k = gram(tapped(*a, *set, images, "conv1", *session)),
               l = gram(tapped(*b, *set, images, "conv1", *session));
    const HsicValues batch = unbiased_hsic(k, l, 10);
    hsic[0] += batch.kl;
    hsic[1] += batch.kk;
    hsic[2] += batch.ll;
  }
  CHECK(std::abs(dropped.stages[0].cka - hsic[0] / std::sqrt(hsic[1] * hsic[2])) > 1e-4);
}

TEST_CASE("CKA: the same bits for any number of threads") {
  const auto session = small_session();
  const auto a = lively_network("fixup_resnet8", session->stream, 1),
             b = lively_network("fixup_resnet8", session->stream, 2);
  const auto set = tiny_set(23, 8, 3);
  const CkaResult one = cka(*a, *b, set, 8, *session);
  set_threads(3);
  const CkaResult three = cka(*a, *b, set, 8, *session);
  set_threads(1);
  for (size_t i = 0; i < one.stages.size(); ++i) {
    CHECK(one.stages[i].cka == three.stages[i].cka);
    CHECK(one.stages[i].aligned_cka == three.stages[i].aligned_cka);
  }
}

TEST_CASE("CKA: what cannot be compared is said") {
  const auto session = small_session();
  const auto a = lively_network("fixup_resnet8", session->stream, 1),
             imagenet = lively_network("fixup_resnet18_32", session->stream, 1);
  const auto set = tiny_set(23, 8, 3);
  CHECK(contains(error_of([&] { cka(*a, *imagenet, set, 8, *session); }), "fixup_resnet18_32"));
  CHECK(contains(error_of([&] { cka(*a, *a, set, 3, *session); }), "batches are of 3"));
  CHECK(contains(error_of([&] { cka(*a, *a, tiny_set(3, 8, 3), 8, *session); }), "has 3"));
}
