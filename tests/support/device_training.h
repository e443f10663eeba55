// Ten training steps of a small network on any device, for tests.
#pragma once

#include <string>
#include <vector>

#include "engine/captured_step.h"
#include "engine/transfer.h"
#include "tests/support/training.h"

namespace basin::test {

// The small-image kind with and without batch norm, and the kind with max pooling: that one without
// batch norm, whose last statistics would be of four values a channel and too sensitive to compare.
struct DeviceCase {
  const char* name;
  int64_t side;
};
constexpr DeviceCase kDeviceCases[] = {
    {"fixup_resnet8", 8}, {"resnet8", 8}, {"fixup_resnet18", 32}};

struct DeviceRun {
  std::vector<double> losses;
  std::vector<float> values, momentum;
  std::vector<uint16_t> copy;               // the bits of the bf16 copy, where there is one
  int64_t growths_of_first_steps, growths;  // times memory was taken from the system
};

struct DeviceRunOptions {
  bool capture = false;
  // By how much each weight is moved at the start, relative to itself, up or down; and which are.
  double nudge = 0;
  uint32_t nudge_draw = 0;
  DType dtype = DType::kF32;
  StreamOptions stream = {};
};

// On four random images; the learning rate changes in every step.
inline DeviceRun run_on_device(const DeviceCase& network_case, Device device,
                               const DeviceRunOptions& options = {}) {
  constexpr int64_t kImages = 4, kClasses = 3;
  constexpr int kSteps = 10;
  Stream stream(device, options.stream);
  StepArena arena(int64_t{64} << 20, device);
  const auto network = small_network(network_case.name, stream, kClasses, 4, options.dtype);
  network->initialize(3);
  State& state = network->state();
  // Fixup's last convolutions start at zero, and its first losses would test little.
  for (const std::string& module : state.modules()) state.add_noise(module, 0.1, 3, 0);
  RandomStream random(7, RandomPurpose::kNoise, 77, options.nudge_draw);
  for (const State::Entry& entry : state.entries()) {
    if (options.nudge == 0) break;
    auto values = download<float>(entry.tensor, stream);
    for (float& value : values) {
      value *= static_cast<float>(1 + (random.below(2) ? options.nudge : -options.nudge));
    }
    upload(values.data(), entry.tensor, stream);
  }
  state.update_copy();
  const Shape shape{kImages, network_case.side, network_case.side, 3};
  const Tensor drawn = random_tensor(shape, DType::kF32, 9);
  const Tensor images(allocate_state(shape.elements() * 4, stream), shape, DType::kF32);
  upload(drawn.data<float>(), images, stream);
  std::vector<float> one_hot(kImages * kClasses);
  for (size_t i = 0; i < kImages; ++i) one_hot[i * kClasses + i % kClasses] = 1;
  const Tensor targets(allocate_state(kImages * kClasses * 4, stream), {kImages, kClasses},
                       DType::kF32);
  upload(one_hot.data(), targets, stream);
  Sgd sgd(state, {});
  Tensor loss;
  CapturedStep step(
      stream, arena,
      [&] {
        loss = {};
        Tape tape(stream, arena, true);
        state.begin_step();
        loss = softmax_cross_entropy(tape, network->forward(tape, images, Mode::kTrain), targets);
        tape.backward(loss);
        sgd.step();
      },
      options.capture);
  DeviceRun run{};
  for (int i = 0; i < kSteps; ++i) {
    sgd.set_learning_rate(0.05 / (1 + i));
    step.run();
    run.losses.push_back(download<float>(loss, stream)[0]);
    if (i == 1) run.growths_of_first_steps = arena.allocations_from_system();
  }
  loss = {};
  CHECK(step.captured() == (options.capture && device != Device::kCpu));
  CHECK(arena.live_bytes() == 0);
  run.growths = arena.allocations_from_system();
  run.values = download_flat<float>(state, state.flat_values());
  run.momentum = download_flat<float>(state, state.flat_momentum());
  if (state.flat_copy()) run.copy = download_flat<uint16_t>(state, state.flat_copy());
  return run;
}

}  // namespace basin::test
