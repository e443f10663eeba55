// Networks in bf16 on the emulated device: training beside the CPU's in fp32, the bf16 copy of the
// weights, checkpoints, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "engine/checkpoint.h"
#include "engine/safetensors.h"
#include "models/registry.h"
#include "tests/support/device_training.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

namespace {

std::vector<float> values_of(const State& state) {
  return download_flat<float>(state, state.flat_values());
}

std::vector<uint16_t> copy_of(const State& state) {
  return download_flat<uint16_t>(state, state.flat_copy());
}

std::vector<uint16_t> rounded(const std::vector<float>& values) {
  std::vector<uint16_t> bits;
  for (const float value : values) bits.push_back(to_bf16(value).bits);
  return bits;
}

// A network in bf16 that trains on four random images.
struct Trained {
  explicit Trained(const std::string& name, uint64_t seed)
      : network(small_network(name, stream, 3, 4, DType::kBF16)),
        images(allocate_state(4 * 8 * 8 * 3 * 4, stream), {4, 8, 8, 3}, DType::kF32),
        targets(allocate_state(4 * 3 * 4, stream), {4, 3}, DType::kF32),
        sgd(network->state(), {}) {
    network->initialize(seed);
    for (const std::string& module : state().modules()) state().add_noise(module, 0.1, 3, 0);
    upload(random_tensor(images.shape(), DType::kF32, 9).data<float>(), images, stream);
    const float one_hot[] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0};
    upload(one_hot, targets, stream);
  }
  State& state() { return network->state(); }
  float step() {
    Tape tape(stream, arena, true);
    state().begin_step();
    const Tensor loss =
        softmax_cross_entropy(tape, network->forward(tape, images, Mode::kTrain), targets);
    tape.backward(loss);
    sgd.step(0.05);
    return download<float>(loss, stream)[0];
  }

  Stream stream{Device::kEmulated};
  StepArena arena{int64_t{64} << 20, Device::kEmulated};
  std::unique_ptr<Network> network;
  Tensor images, targets;
  Sgd sgd;
};

}  // namespace

TEST_CASE("bf16: ten training steps lose what the CPU's do in fp32") {
  for (const DeviceCase& network : kDeviceCases) {
    CAPTURE(std::string(network.name));
    const DeviceRun single = run_on_device(network, Device::kCpu);
    const DeviceRun half = run_on_device(network, Device::kEmulated, {.dtype = DType::kBF16});
    // Rounding moves a number by half a unit in its last place, 2^-8 of it at most. What that does
    // to the losses, the network itself says: as much as they move when every weight is moved that
    // far, up or down; three times, for weights, activations and gradients are rounded. Deep in the
    // third network small differences soon grow large: there the first update alone is compared.
    const size_t steps = network.side > 8 ? 2 : single.losses.size();
    std::vector<double> moved(steps, 0);
    for (uint32_t draw = 0; draw < 4; ++draw) {
      const DeviceRun nudged =
          run_on_device(network, Device::kCpu, {.nudge = std::ldexp(1, -8), .nudge_draw = draw});
      for (size_t i = 0; i < steps; ++i) {
        moved[i] = std::max(moved[i], std::abs(nudged.losses[i] - single.losses[i]));
      }
    }
    const double gain = single.losses.front() - single.losses.back();
    double worst = 0;
    for (size_t i = 0; i < steps; ++i) {
      const double tolerance = 3 * moved[i];
      CHECK(tolerance < gain / 5);  // weights that stay as they are lose all of it
      worst = std::max(worst, std::abs(half.losses[i] - single.losses[i]) / tolerance);
    }
    MESSAGE(std::string(network.name), ": loss ", half.losses.front(), " to ", half.losses.back(),
            ", in fp32 ", single.losses.front(), " to ", single.losses.back(),
            ", worst difference / tolerance ", worst);
    CHECK(worst <= 1);
    CHECK(worst > 0.02);  // else the tolerance tests nothing, or nothing was rounded
  }
}

TEST_CASE("bf16: the copy of the weights is the rounded values after every kind of change") {
  const TemporaryFolder folder;
  const auto path = folder.path / "other.safetensors";
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    Trained one(name, 1), other(name, 2);
    State& state = one.state();
    save_checkpoint(other.state(), path, {});
    struct Change {
      const char* name;
      std::function<void()> make;
    };
    const Change changes[] = {
        {"initialize", [&] { one.network->initialize(3); }},
        {"initialize_module", [&] { one.network->initialize_module(4, "layer2.0"); }},
        {"add_noise", [&] { state.add_noise("layer1.0", 0.1, 5, 0); }},
        {"copy_module_from", [&] { state.copy_module_from(other.state(), "layer2.0"); }},
        {"lerp_module", [&] { state.lerp_module(state, other.state(), 0.25, "layer3.0"); }},
        {"lerp", [&] { state.lerp(state, other.state(), 0.5); }},
        {"copy_from", [&] { state.copy_from(other.state()); }},
        {"a training step", [&] { one.step(); }},
        {"load_checkpoint", [&] { load_checkpoint(state, path); }},
    };
    for (const Change& change : changes) {
      CAPTURE(std::string(name));
      CAPTURE(std::string(change.name));
      const auto before = copy_of(state);
      change.make();
      const auto after = copy_of(state);
      CHECK(after != before);
      CHECK(after == rounded(values_of(state)));
    }
    // Weights, and nothing else, are read from the copy.
    for (const State::Entry& entry : state.entries()) {
      const bool weight = !entry.buffer && entry.shape.rank() >= 2;
      CHECK(static_cast<bool>(entry.copy) == weight);
      CHECK(entry.tensor.dtype() == DType::kF32);
      if (weight) CHECK(entry.copy.slot() == entry.tensor.slot());
    }
  }
}

TEST_CASE("bf16: a checkpoint holds the fp32 values, and training goes on from it bit for bit") {
  const TemporaryFolder folder;
  const auto path = folder.path / "resume.safetensors";
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(std::string(name));
    Trained whole(name, 1), resumed(name, 2);
    for (int i = 0; i < 3; ++i) whole.step();
    save_checkpoint(whole.state(), path, {}, Momentum::kWith);
    const State::Entry* entry = whole.state().find("layer1.0.conv1.weight");
    REQUIRE(entry);
    const SafetensorsReader reader(path);
    CHECK(reader.find(entry->name)->dtype == FileDtype::kF32);
    load_checkpoint(resumed.state(), path, {.skip = {}, .momentum = Momentum::kWith});
    const auto values = values_of(whole.state());
    CHECK(values_of(resumed.state()) == values);
    const auto is_bf16 = [](float value) { return to_float(to_bf16(value)) == value; };
    CHECK_FALSE(std::all_of(values.begin(), values.end(), is_bf16));
    for (int i = 0; i < 3; ++i) CHECK(resumed.step() == whole.step());
    CHECK(values_of(resumed.state()) == values_of(whole.state()));
    CHECK(copy_of(resumed.state()) == copy_of(whole.state()));
  }
}

TEST_CASE("bf16: logits are fp32, and their bits those of any cut and of rounded images") {
  for (const char* name : {"fixup_resnet8", "resnet8", "fixup_resnet50_32"}) {
    CAPTURE(std::string(name));
    Trained one(name, 1);
    Tape tape(one.stream, one.arena, false);
    const Tensor whole = one.network->forward(tape, one.images, Mode::kEvaluate);
    REQUIRE(whole.dtype() == DType::kF32);
    const auto logits = download<float>(whole, one.stream);
    const Tensor images = convert(tape, one.images, DType::kBF16);
    CHECK(download<float>(one.network->forward(tape, images, Mode::kEvaluate), one.stream) ==
          logits);
    const size_t modules = one.state().modules().size();
    for (size_t cut = 1; cut < modules; ++cut) {
      const Tensor first = one.network->forward_range(tape, one.images, Mode::kEvaluate, 0, cut);
      CHECK(first.dtype() == DType::kBF16);
      const Tensor second = one.network->forward_range(tape, first, Mode::kEvaluate, cut, modules);
      CHECK(download<float>(second, one.stream) == logits);
    }
  }
}

TEST_CASE("bf16: gradients pass a conversion, rounded to the type they go to") {
  Stream stream(Device::kEmulated);
  StepArena arena(int64_t{1} << 20, Device::kEmulated);
  State state(DType::kF32, stream);
  state.begin_module("a");
  const Tensor x = state.add_parameter("a.weight", {1, 3});
  state.allocate(State::Use::kTraining);
  const float numbers[] = {0.1f, -0.2f, 0.3f}, target[] = {0, 1, 0};
  upload(numbers, x, stream);
  const Tensor targets(allocate_state(12, stream), {1, 3}, DType::kF32);
  upload(target, targets, stream);
  auto gradient = [&](bool through_bf16) {
    state.begin_step();
    Tape tape(stream, arena, true);
    // To bf16 and back; or what that leaves of the numbers.
    const Tensor y = through_bf16 ? convert(tape, convert(tape, x, DType::kBF16), DType::kF32) : x;
    tape.backward(softmax_cross_entropy(tape, y, targets));
    return std::make_pair(download<float>(y, stream), download<float>(x.gradient(), stream));
  };
  const auto [rounded_numbers, half] = gradient(true);
  upload(rounded_numbers.data(), x, stream);
  const auto [same_numbers, single] = gradient(false);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(rounded_numbers[i] == to_float(to_bf16(numbers[i])));
    CHECK(half[i] == to_float(to_bf16(single[i])));
    CHECK(half[i] != single[i]);
  }
}

TEST_CASE("bf16: what is not computed in it is refused") {
  Stream cpu(Device::kCpu);
  StepArena arena(int64_t{1} << 20);
  const auto network = make_network({.name = "resnet8", .classes = 3, .width = 4}, DType::kF32, cpu,
                                    State::Use::kValuesOnly);
  CHECK(network->state().flat_copy() == nullptr);
  Tape tape(cpu, arena, false);
  const Tensor x = tape.empty({2, 3}, DType::kBF16), wide = tape.empty({2, 3}, DType::kF64);
  CHECK(contains(error_of([&] { convert(tape, x, DType::kF32); }), "--precision fp32"));
  CHECK(contains(error_of([&] { convert(tape, wide, DType::kF32); }), "f64"));
}
