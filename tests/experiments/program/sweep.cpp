// Sweeps against the plain loop, bit for bit; budgets; and the statistics of batch norm.
#include "experiments/program/sweep.h"

#include <cmath>

#include "kernels/base/parallel.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

struct SweepFixture {
  explicit SweepFixture(const std::string& model)
      : base(lively_network(model, session->stream, 1)),
        scratch(small_network(model, session->stream)),
        set(tiny_set(23, 8, 3), {.batch_size = 8}, *session),
        statistics(statistics_set(*base, tiny_set(30, 8, 3), *session)) {}

  // The setting alone: weights, statistics measured on the whole network, all images.
  Evaluation plain(const WeightSetting& setting) {
    const auto network = small_network(base->options().name, session->stream);
    network->state().copy_from(base->state());
    setting.write(*network);
    if (statistics) estimate_batch_norm(*network, *statistics, *session);
    return set.evaluate(*network);
  }

  std::unique_ptr<Session> session = small_session();
  std::unique_ptr<Network> base, scratch;
  EvaluationSet set;
  std::unique_ptr<EvaluationSet> statistics;
};

// Every module under three noises, in an order that mixes them; all modules; and none.
std::vector<WeightSetting> settings_of(const std::vector<std::string>& modules) {
  std::vector<WeightSetting> settings;
  for (uint32_t draw = 0; draw < 3; ++draw) {
    for (size_t i = modules.size(); i-- > 0;) {
      settings.push_back({modules[i], [module = modules[i], draw](Network& network) {
                            network.state().add_noise(module, 0.2, 9, draw);
                          }});
    }
    settings.push_back({"", [draw](Network& network) { network.initialize(draw + 5); }});
  }
  settings.push_back({modules.back(), [](Network&) {}});
  return settings;
}

}  // namespace

TEST_CASE("sweep: the bits of the plain loop") {
  for (const std::string model : {"fixup_resnet8", "fixup_resnet18_32", "resnet8"}) {
    CAPTURE(model);
    SweepFixture fixture(model);
    const auto settings = settings_of(fixture.base->state().modules());
    for (const int threads_used : {1, 3}) {
      set_threads(threads_used);
      Sweep sweep(*fixture.scratch, fixture.base->state(), fixture.set, fixture.statistics.get(),
                  *fixture.session);
      for (int repeat = 0; repeat < 2; ++repeat) {
        const auto evaluations = sweep.evaluate(settings);
        REQUIRE(evaluations.size() == settings.size());
        if (repeat == 1 && threads_used == 3)
          break;  // only that a second call is the first's equal
        for (size_t i = 0; i < settings.size(); ++i) {
          CAPTURE(i);
          const Evaluation expected = fixture.plain(settings[i]);
          CHECK(evaluations[i].loss == expected.loss);
          CHECK(evaluations[i].error == expected.error);
          CHECK(evaluations[i].score == expected.score);
        }
      }
    }
    set_threads(1);
  }
}

TEST_CASE("sweep: the bits of the plain loop, in bf16 on the emulated device") {
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(model);
    Session session{Stream(Device::kEmulated), StepArena(kSessionBytes, Device::kEmulated), {}, {}};
    const auto network = [&] { return small_network(model, session.stream, 3, 4, DType::kBF16); };
    const auto base = network(), scratch = network();
    base->initialize(1);
    const std::vector<std::string> modules = base->state().modules();
    for (const std::string& module : modules) base->state().add_noise(module, 0.3, 1, 0);
    EvaluationSet set(tiny_set(5, 8, 3), {.batch_size = 3}, session);
    const auto statistics = statistics_set(*base, tiny_set(4, 8, 3), session);
    Sweep sweep(*scratch, base->state(), set, statistics.get(), session);
    std::vector<WeightSetting> settings;
    for (const std::string& module : {modules[2], std::string(), modules[0], modules.back()}) {
      settings.push_back({module, [module](Network& changed) {
                            module.empty() ? changed.initialize(5)
                                           : changed.state().add_noise(module, 0.2, 9, 0);
                          }});
    }
    settings.push_back({modules.back(), [](Network&) {}});
    const auto evaluations = sweep.evaluate(settings);
    for (size_t i = 0; i < settings.size(); ++i) {
      CAPTURE(i);
      const auto plain = network();
      plain->state().copy_from(base->state());
      settings[i].write(*plain);
      if (statistics) estimate_batch_norm(*plain, *statistics, session);
      const Evaluation expected = set.evaluate(*plain);
      CHECK(evaluations[i].loss == expected.loss);
      CHECK(evaluations[i].score == expected.score);
      if (i > 0) CHECK(evaluations[i].loss != evaluations[0].loss);
    }
  }
}

TEST_CASE("sweep: the network holds the base between calls, its statistics measured anew") {
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    SweepFixture fixture(model);
    Sweep sweep(*fixture.scratch, fixture.base->state(), fixture.set, fixture.statistics.get(),
                *fixture.session);
    const auto expected = small_network(model, fixture.session->stream);
    expected->state().copy_from(fixture.base->state());
    if (fixture.statistics) estimate_batch_norm(*expected, *fixture.statistics, *fixture.session);
    CHECK(same_values(fixture.scratch->state(), expected->state()));
    CHECK(same_values(fixture.base->state(), expected->state()) == !fixture.statistics);
    sweep.evaluate(settings_of(fixture.base->state().modules()));
    CHECK(same_values(fixture.scratch->state(), expected->state()));
  }
}

TEST_CASE("sweep: a spent budget ends the settings that share it, and no others") {
  SweepFixture fixture("fixup_resnet8");
  Sweep sweep(*fixture.scratch, fixture.base->state(), fixture.set, nullptr, *fixture.session);
  const auto images = static_cast<double>(fixture.set.size());
  auto noise = [](uint32_t draw) {
    return [draw](Network& network) { network.state().add_noise("layer2.0", 0.3, 4, draw); };
  };
  for (const LossKind kind : {LossKind::kError, LossKind::kCrossEntropy}) {
    const WeightSetting first{"layer2.0", noise(0)}, second{"layer2.0", noise(1)};
    const double sum =
        images * (loss_of(fixture.plain(first), kind) + loss_of(fixture.plain(second), kind));
    REQUIRE(sum > 1);
    for (const double allowed : {sum - 0.01, sum + 0.01}) {
      const bool enough = allowed > sum;
      LossBudget shared{kind, allowed}, other{kind, images * 100};
      const auto evaluations = sweep.evaluate({{"layer2.0", noise(0), &shared},
                                               {"layer2.0", noise(1), &shared},
                                               {"layer2.0", noise(1), &other},
                                               {"layer2.0", noise(0)}});
      CHECK(shared.spent() == !enough);
      CHECK(std::isnan(evaluations[0].loss) == !enough);
      CHECK(std::isnan(evaluations[1].error) == !enough);
      CHECK(evaluations[2].loss == fixture.plain(second).loss);
      CHECK(evaluations[3].loss == fixture.plain(first).loss);
      if (enough) {
        CHECK(evaluations[0].loss == evaluations[3].loss);
        CHECK(shared.left == doctest::Approx(allowed - sum).epsilon(1e-9));
      }
    }
  }
  // Nothing is evaluated once nothing is wanted any more.
  int written = 0;
  LossBudget none{LossKind::kError, -1};
  sweep.evaluate({{"fc", [&](Network&) { ++written; }, &none}});
  CHECK(written == 0);
}

TEST_CASE("batch norm: the statistics of the images, averaged over the batches") {
  const auto session = small_session();
  const auto network = lively_network("resnet8", session->stream, 1);
  const auto images = tiny_set(12, 8, 3);
  // The running mean behind the first convolution is the mean of its outputs, whatever the batches.
  std::vector<double> means[2];
  for (const int64_t batch : {12, 4}) {
    EvaluationSet set(images, {.batch_size = batch}, *session);
    estimate_batch_norm(*network, set, *session);
    const State::Entry* mean = network->state().find("bn1.running_mean");
    for (int64_t c = 0; c < mean->shape.elements(); ++c) {
      means[batch == 4].push_back(mean->tensor.data<float>()[c]);
    }
  }
  for (size_t c = 0; c < means[0].size(); ++c) {
    double sum = 0;
    EvaluationSet set(images, {.batch_size = 12}, *session);
    set.for_each_batch([&](const EvaluationBatch& batch) {
      Tape tape(session->stream, session->arena, false);
      const Tensor h =
          conv2d(tape, batch.images, network->state().find("conv1.weight")->tensor, 1, 1);
      const auto channels = static_cast<int64_t>(means[0].size());
      for (int64_t i = static_cast<int64_t>(c); i < h.size(); i += channels) {
        sum += h.data<float>()[i] * static_cast<double>(channels) / static_cast<double>(h.size());
      }
      return true;
    });
    CHECK(means[0][c] == doctest::Approx(sum).epsilon(1e-5));
    CHECK(means[1][c] == doctest::Approx(sum).epsilon(1e-5));
  }
  // One batch: evaluation then normalises as training does, but for the unbiased variance.
  EvaluationSet set(images, {.batch_size = 12}, *session);
  estimate_batch_norm(*network, set, *session);
  set.for_each_batch([&](const EvaluationBatch& batch) {
    Tape tape(session->stream, session->arena, false);
    const Tensor evaluated = network->forward(tape, batch.images, Mode::kEvaluate);
    const Tensor trained = network->forward(tape, batch.images, Mode::kTrain);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < trained.size(); ++i) {
      difference += std::pow(trained.data<float>()[i] - evaluated.data<float>()[i], 2);
      norm += std::pow(trained.data<float>()[i], 2);
    }
    CHECK(std::sqrt(difference / norm) < 0.05);  // 12*2*2 = 48 values at least: 1/96 a layer
    return true;
  });
}

TEST_CASE("batch norm: images to measure statistics on, in equal batches") {
  const auto session = small_session();
  const auto network = small_network("resnet8", session->stream);
  CHECK(statistics_set(*small_network("fixup_resnet8", session->stream), tiny_set(5, 8, 3),
                       *session) == nullptr);
  CHECK(statistics_set(*network, tiny_set(7, 8, 3), *session)->size() == 7);
  CHECK(statistics_set(*network, tiny_set(450, 8, 3), *session)->size() == 400);
  CHECK(statistics_set(*network, tiny_set(1500, 8, 3), *session)->size() == 1000);
  EvaluationSet set(tiny_set(5, 8, 3), {.batch_size = 5}, *session);
  CHECK(contains(error_of([&] { Sweep(*network, network->state(), set, nullptr, *session); }),
                 "batch norm"));
}

TEST_CASE("sweep: a data set of other classes") {
  const auto session = small_session();
  const auto network = small_network("fixup_resnet8", session->stream, 4);
  EvaluationSet set(tiny_set(5, 8, 3), {.batch_size = 5}, *session);
  CHECK(contains(error_of([&] { Sweep(*network, network->state(), set, nullptr, *session); }),
                 "4 classes"));
}
