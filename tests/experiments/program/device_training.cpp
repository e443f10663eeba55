// Training and evaluation on the emulated device: how often the host waits, what a diverged loss
// says, and that it does not matter where the images lie.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/transfer.h"
#include "experiments/program/evaluate.h"
#include "experiments/program/sweep.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("device training: the host waits as often in an epoch of 40 steps as in one of 20") {
  const TemporaryFolder folder;
  for (const bool capture : {true, false}) {
    int64_t waits[2];
    for (const int64_t batches : {20, 40}) {
      const std::string name = concat(batches, capture ? "-captured" : "");
      write_tiny_data(folder.path / name, 3 * batches, 6, 3);
      TrainOptions options = tiny_options(folder.path / name, folder.path / ("run-" + name));
      options.batch_size = 3;
      options.epochs = 1;
      options.train_eval_size = 6;
      const auto session = small_session(Device::kEmulated);
      session->capture_steps = capture;
      const auto result = train(options, *session);
      CHECK(result.epochs.back().train_loss > 0);
      waits[batches == 40] = session->stream.waits();
    }
    CHECK(waits[0] == waits[1]);
  }
}

TEST_CASE("device training: a loss beyond all bounds ends it, with the number of its batch") {
  const TemporaryFolder folder;
  write_tiny_data(folder.path / "data", 60, 6, 3);
  for (const Device device : {Device::kCpu, Device::kEmulated}) {
    CAPTURE(std::string(name_of(device)));
    TrainOptions options = tiny_options(folder.path / "data", folder.path / name_of(device));
    options.schedule = {1e12, {}, 0.1};
    const auto session = small_session(device);
    const std::string error = error_of([&] { train(options, *session); });
    CHECK(contains(error, "in epoch 1, batch 2: training diverged"));
    CHECK(contains(error, "--lr"));
  }
}

TEST_CASE("device training: the same bits with the set's bytes on the device and with batches") {
  const TemporaryFolder folder;
  write_tiny_data(folder.path / "data", 40, 12, 3);
  for (const bool resident : {true, false}) {
    const auto session = small_session(Device::kEmulated);
    if (!resident) session->resident = data::ResidentImages(0);
    TrainOptions options = tiny_options(folder.path / "data", folder.path / concat(resident));
    train(options, *session);
  }
  check_same_run(folder.path / "1", folder.path / "0");
}

TEST_CASE("device evaluation: what the CPU finds, whether the bytes stay on the device or not") {
  constexpr int64_t kImages = 19;
  std::vector<uint8_t> rows;
  for (int64_t i = 0; i < kImages; ++i) {
    for (const int64_t period : {2, 3, 5}) rows.push_back(i % period == 0);
  }
  const std::shared_ptr<const data::Dataset> sets[] = {
      tiny_set(kImages, 8, 3), std::make_shared<const data::ArrayDataset>(
                                   tiny_info(8, 3, true), rows, noise_pixels(kImages, 8))};
  auto evaluate = [](const std::shared_ptr<const data::Dataset>& set, Device device,
                     bool resident) {
    const auto session = small_session(device);
    if (!resident) session->resident = data::ResidentImages(0);
    const auto network = small_network("resnet8", session->stream);
    network->initialize(2);
    for (const std::string& module : network->state().modules()) {
      network->state().add_noise(module, module == "fc" ? 1.0 : 0.3, 2, 0);
    }
    EvaluationSet images(set, {.batch_size = 4, .block_size = 4, .shuffle_seed = 3}, *session);
    images.evaluate(*network);
    const int64_t waits = session->stream.waits();
    const Evaluation evaluation = images.evaluate(*network);
    CHECK(session->stream.waits() == waits + 2);  // for the sums and the rows, not for batches
    return evaluation;
  };
  for (const auto& set : sets) {
    const Evaluation cpu = evaluate(set, Device::kCpu, true);
    const Evaluation resident = evaluate(set, Device::kEmulated, true);
    const Evaluation copied = evaluate(set, Device::kEmulated, false);
    CHECK(resident.loss == doctest::Approx(cpu.loss).epsilon(1e-5));
    CHECK(resident.score == cpu.score);
    CHECK(resident.error == cpu.error);
    CHECK(resident.predictions == cpu.predictions);
    CHECK(resident.logits.size() == (set->multi_label() ? kImages * 3 : 0));
    for (size_t i = 0; i < resident.logits.size(); ++i) {
      CHECK(resident.logits[i] == doctest::Approx(cpu.logits[i]).epsilon(1e-3));
    }
    CHECK(copied.loss == resident.loss);
    CHECK(copied.predictions == resident.predictions);
    CHECK(copied.logits == resident.logits);
  }
}

TEST_CASE("device evaluation: a sweep has the bits of plain evaluations") {
  const auto session = small_session(Device::kEmulated);
  const auto set = tiny_set(14, 8, 3);
  EvaluationSet images(set, {.batch_size = 4}, *session);
  const auto base = small_network("fixup_resnet8", session->stream);
  base->initialize(2);
  for (const std::string& module : base->state().modules()) {
    base->state().add_noise(module, 0.3, 2, 0);
  }
  auto noise = [](uint32_t draw) {
    return [draw](Network& network) { network.state().add_noise("layer2.0", 0.3, 4, draw); };
  };
  const auto scratch = small_network("fixup_resnet8", session->stream);
  std::vector<double> plain;
  for (const uint32_t draw : {0, 1}) {
    scratch->state().copy_from(base->state());
    noise(draw)(*scratch);
    plain.push_back(images.evaluate(*scratch).loss);
  }
  LossBudget ample{LossKind::kCrossEntropy, 1000}, scant{LossKind::kCrossEntropy, 1};
  Sweep sweep(*scratch, base->state(), images, nullptr, *session);
  const auto swept = sweep.evaluate(
      {{"layer2.0", noise(0)}, {"layer2.0", noise(1), &ample}, {"layer2.0", noise(1), &scant}});
  CHECK(swept[0].loss == plain[0]);
  CHECK(swept[1].loss == plain[1]);
  CHECK(ample.left == doctest::Approx(1000 - 14 * plain[1]).epsilon(1e-9));
  CHECK(std::isnan(swept[2].loss));
  CHECK(scant.spent());
}
