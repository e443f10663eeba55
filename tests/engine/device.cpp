// The engine on the emulated device: whole training steps, memory, copies, and what it refuses.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <string>

#include "engine/linear_algebra.h"
#include "engine/transfer.h"
#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"
#include "kernels/emulator/options.h"
#include "tests/support/device_training.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("device: ten emulated training steps lose what the CPU's do") {
  for (const DeviceCase& network : kDeviceCases) {
    CAPTURE(std::string(network.name));
    const DeviceRun cpu = run_on_device(network, Device::kCpu);
    const int64_t launches = emulator::statistics().launches;
    const DeviceRun emulated = run_on_device(network, Device::kEmulated);
    // The bits cannot prove emulation: on some processors the CPU's calls sum in the same order.
    CHECK(emulator::statistics().launches > launches);
    // The devices differ in the order of sums, a few roundings of 2^-24 for each of an op's
    // results. How far that may carry, the network itself says: by as much as its losses move when
    // every weight moves by sixteen roundings.
    const DeviceRun nudged =
        run_on_device(network, Device::kCpu, {.capture = false, .nudge = std::ldexp(16, -24)});
    double worst = 0;
    for (size_t i = 0; i < cpu.losses.size(); ++i) {
      const double tolerance =
          std::ldexp(8, -24) * cpu.losses[i] + 4 * std::abs(nudged.losses[i] - cpu.losses[i]);
      CHECK(tolerance < 1e-3 * cpu.losses[i]);
      worst = std::max(worst, std::abs(emulated.losses[i] - cpu.losses[i]) / tolerance);
    }
    MESSAGE(std::string(network.name), ": loss ", cpu.losses.front(), " to ", cpu.losses.back(),
            ", worst difference / tolerance ", worst);
    CHECK(worst <= 1);
    CHECK(cpu.losses.back() < cpu.losses.front());
  }
}

TEST_CASE("device: emulated training repeats its bits, and takes memory in its first steps only") {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const DeviceCase& network : {kDeviceCases[0], kDeviceCases[1]}) {
      CAPTURE(std::string(network.name));
      CAPTURE(std::string(name_of(dtype)));
      const DeviceRun first = run_on_device(network, Device::kEmulated, {.dtype = dtype});
      const DeviceRun second = run_on_device(network, Device::kEmulated, {.dtype = dtype});
      CHECK(first.losses == second.losses);
      CHECK(first.values == second.values);
      CHECK(first.momentum == second.momentum);
      CHECK(first.growths_of_first_steps > 0);
      CHECK(first.growths == first.growths_of_first_steps);
    }
  }
}

TEST_CASE("device: host code that touches memory of the emulated device is stopped") {
  Stream stream(Device::kEmulated);
  StepArena arena(int64_t{1} << 20, Device::kEmulated);
  const auto state = allocate_state(1000, stream), activation = arena.allocate(1000);
  stream.zero(activation->data(), 1000);
  for (const auto& block : {state, activation}) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      close(STDERR_FILENO);  // a sanitizer's report
      std::signal(SIGSEGV, SIG_DFL);
      _exit(*static_cast<volatile const char*>(block->data()));
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    char byte = 1;
    stream.copy_to_host(&byte, block->data(), 1);
    CHECK(byte == 0);
  }
}

TEST_CASE("device: weight surgery and distances on the emulated device have the CPU's results") {
  Stream cpu(Device::kCpu), emulated(Device::kEmulated);
  auto surgery = [](Stream& stream) {
    const auto a = small_network("resnet8", stream), b = small_network("resnet8", stream);
    a->initialize(1);
    b->initialize(2);
    const auto c = small_network("resnet8", stream);
    c->state().lerp(a->state(), b->state(), 0.25);
    c->state().copy_module_from(b->state(), "layer2.0");
    c->state().add_noise("layer1.0", 0.01, 5, 1);
    std::vector<std::vector<float>> values;
    for (const State::Entry& entry : c->state().entries()) {
      values.push_back(download<float>(entry.tensor, stream));
    }
    return std::make_pair(values, c->state().module_distances(a->state()));
  };
  const auto [values, distances] = surgery(cpu);
  const auto [emulated_values, emulated_distances] = surgery(emulated);
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    REQUIRE(values[i].size() == emulated_values[i].size());
    for (size_t j = 0; j < values[i].size(); ++j) {
      // One rounding of the result, and of the difference in an interpolation.
      const double scale = std::max(1.0f, std::abs(values[i][j]));
      largest = std::max(largest, std::abs(values[i][j] - emulated_values[i][j]) / scale);
    }
  }
  CHECK(largest <= std::ldexp(2, -24));
  for (size_t i = 0; i < distances.size(); ++i) {
    CHECK(distances[i] > 0);
    CHECK(emulated_distances[i] == doctest::Approx(distances[i]).epsilon(1e-6));
  }
}

TEST_CASE("device: Gram matrices on the emulated device") {
  Inference cpu;
  Stream emulated(Device::kEmulated);
  StepArena arena(int64_t{1} << 20, Device::kEmulated);
  Tape tape(emulated, arena, false);
  const Tensor x = random_tensor({6, 3, 2, 7}, DType::kF32, 3);
  const Tensor there = tape.empty(x.shape(), DType::kF32);
  upload(x.data<float>(), there, emulated);
  const auto check = [](const std::vector<double>& actual, const std::vector<double>& expected) {
    REQUIRE(actual.size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) CHECK(actual[i] == doctest::Approx(expected[i]));
  };
  check(channel_gram(tape, there), channel_gram(cpu.tape, x));
  check(image_gram(tape, there), image_gram(cpu.tape, x));
}

TEST_CASE("device: how much memory is held, and was held at most") {
  Stream stream(Device::kEmulated);
  const MemoryUse before = memory_use(Device::kEmulated);
  {
    const auto block = allocate_state(int64_t{3} << 20, stream);
    CHECK(memory_use(Device::kEmulated).now == before.now + (int64_t{3} << 20));
  }
  const auto block = allocate_state(1000, stream);
  const MemoryUse after = memory_use(Device::kEmulated);
  CHECK(after.now == before.now + 1000);
  CHECK(after.peak >= before.now + (int64_t{3} << 20));
  CHECK(after.peak >= before.peak);
}

TEST_CASE("device: an element type that a device lacks is a clear error") {
  Stream cpu(Device::kCpu), emulated(Device::kEmulated);
  double value = 0;
  const std::string of_double = error_of([&] { run(Fill<double>{&value, 1, 1}, emulated); });
  CHECK(contains(of_double, "fill"));
  CHECK(contains(of_double, "emulated"));
  CHECK(contains(of_double, "f64"));
  CHECK(value == 0);
  Bf16 half{0};
  const std::string of_bf16 = error_of([&] { run(Fill<Bf16>{&half, Bf16{1}, 1}, cpu); });
  CHECK(contains(of_bf16, "cpu"));
  CHECK(contains(of_bf16, "bf16"));
  CHECK(half.bits == 0);
}

TEST_CASE("device: names") {
  CHECK(device_named("cpu") == Device::kCpu);
  CHECK(device_named("emulated") == Device::kEmulated);
  CHECK(contains(error_of([] { device_named("gpu"); }), "auto, cpu, cuda or emulated"));
#ifndef BASIN_CUDA
  CHECK(device_named("auto") == Device::kCpu);
  CHECK(contains(error_of([] { device_named("cuda"); }), "without CUDA"));
  CHECK(contains(error_of([] { Stream stream(Device::kCuda); }), "without CUDA"));
#endif
}
