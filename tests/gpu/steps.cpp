// Training steps on a GPU: captured ones have the bits of ordinary ones, batches those of the
// loader, and no step waits for the device.
#include "data/batch_feed.h"
#include "engine/transfer.h"
#include "tests/experiments/tiny_data.h"
#include "tests/gpu/gpu.h"
#include "tests/support/device_training.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("gpu steps: ten of them repeat their bits, captured or not, and lose what the CPU's do") {
  if (!gpu_at_hand()) return;
  const TemporaryFolder folder;
  DeviceRunOptions options;
  // Else each run would choose its convolution algorithms by its own timing.
  options.stream.plan_file = (folder.path / "convolutions.plan").string();
  for (const DeviceCase& network : kDeviceCases) {
    CAPTURE(std::string(network.name));
    const DeviceRun cpu = run_on_device(network, Device::kCpu);
    options.capture = false;
    run_on_device(network, Device::kCuda, options);  // chooses them
    const DeviceRun ordinary = run_on_device(network, Device::kCuda, options);
    options.capture = true;
    const DeviceRun captured = run_on_device(network, Device::kCuda, options);
    CHECK(captured.losses == ordinary.losses);
    CHECK(captured.values == ordinary.values);
    CHECK(captured.momentum == ordinary.momentum);
    CHECK(captured.growths == ordinary.growths);
    for (size_t i = 0; i < cpu.losses.size(); ++i) {
      CHECK(ordinary.losses[i] == doctest::Approx(cpu.losses[i]).epsilon(1e-3));
    }
  }
}

TEST_CASE("gpu steps: batches made from resident bytes and from copied ones are the CPU's") {
  if (!gpu_at_hand()) return;
  const auto set = tiny_set(50, 32, 3);
  data::LoaderOptions options;
  options.batch_size = 8;
  options.shuffle = options.augment = true;
  for (const bool is_resident : {true, false}) {
    Stream stream(Device::kCuda);
    data::ResidentImages resident(is_resident ? std::optional<int64_t>() : 0);
    data::BatchFeed feed(set, options, stream, resident);
    CHECK(feed.resident() == is_resident);
    // All batches are queued before the first is looked at: the host runs ahead of the copies.
    feed.start_epoch(0);
    std::vector<Tensor> images;
    while (const data::BatchTensors* batch = feed.next()) {
      const Shape shape = batch->images.shape();
      images.emplace_back(allocate_state(shape.elements() * 4, stream), shape, DType::kF32);
      stream.copy(images.back().data<float>(), batch->images.data<float>(), shape.elements() * 4);
    }
    Stream cpu(Device::kCpu);
    data::ResidentImages none;
    data::BatchFeed on_cpu(set, options, cpu, none);
    on_cpu.start_epoch(0);
    for (const Tensor& there : images) {
      const data::BatchTensors* expected = on_cpu.next();
      REQUIRE(expected);
      CHECK(download<float>(there, stream) == download<float>(expected->images, cpu));
    }
    CHECK(images.size() == 7);
  }
}

TEST_CASE("gpu steps: the host waits as often in an epoch of 40 steps as in one of 20") {
  if (!gpu_at_hand()) return;
  const TemporaryFolder folder;
  int64_t waits[2];
  for (const int64_t batches : {20, 40}) {
    const std::string name = std::to_string(batches);
    write_tiny_data(folder.path / name, 3 * batches, 6, 3);
    TrainOptions options = tiny_options(folder.path / name, folder.path / ("run-" + name));
    options.batch_size = 3;
    options.epochs = 1;
    options.train_eval_size = 6;
    Session session;
    session.use(Device::kCuda);
    train(options, session);
    waits[batches == 40] = session.stream.waits();
  }
  CHECK(waits[0] == waits[1]);
}
