// The gradient of whole networks against central differences in double, all parameters random
// (Fixup's zeros would hide errors).
#include "models/registry.h"
#include "tests/support/gradient_check.h"

using namespace basin;
using namespace basin::test;

namespace {

void check_network(const std::string& name, int64_t width, int64_t side, int64_t batch,
                   int64_t samples, double step = 1e-5) {
  Stream stream(Device::kCpu);
  StepArena arena(kTestArenaBytes);
  const auto network = make_network({.name = name, .classes = 3, .width = width}, DType::kF64,
                                    stream, State::Use::kTraining);
  network->initialize(1);
  for (const std::string& module : network->state().modules()) {
    network->state().add_noise(module, 0.2, 2, 0);
  }
  const Tensor images(allocate_state(batch * side * side * 3 * 8), {batch, side, side, 3},
                      DType::kF64);
  const std::vector<double> pixels = normals(images.size(), 3);
  std::copy(pixels.begin(), pixels.end(), images.data<double>());
  const Tensor targets(allocate_state(batch * 3 * 8), {batch, 3}, DType::kF64);
  for (int64_t n = 0; n < batch; ++n) {
    targets.data<double>()[3 * n + n % 3] += 0.7;
    targets.data<double>()[3 * n + (n + 1) % 3] += 0.3;
  }
  const GradientReport report = check_gradients(
      network->state(), arena,
      [&](Tape& tape) {
        return softmax_cross_entropy(tape, network->forward(tape, images, Mode::kTrain), targets);
      },
      step, samples);
  MESSAGE(name, ": ", report.checked, " derivatives, worst relative error ", report.worst, " at ",
          report.where, "; ", report.near_kinks, " left out near a kink");
  CHECK(report.worst < 1e-6);
  CHECK(report.near_kinks <= report.checked / 4);
}

}  // namespace

TEST_CASE("gradient of a whole Fixup network of basic blocks") {
  check_network("fixup_resnet8", 4, 8, 2, 12);
}

TEST_CASE("gradient of a whole network of basic blocks with batch norm") {
  check_network("resnet8", 4, 8, 2, 12);
}

TEST_CASE("gradient of a whole Fixup network of bottlenecks") {
  check_network("fixup_resnet50_32", 2, 8, 2, 2);
}

TEST_CASE("gradient of a whole network of bottlenecks with batch norm") {
  check_network("resnet50_32", 2, 8, 6, 1, 1e-6);
}

TEST_CASE("gradient of a whole Fixup network with the stem for large images") {
  check_network("fixup_resnet18", 2, 32, 2, 2);
}

TEST_CASE("gradient of a whole network with batch norm and the stem for large images") {
  check_network("resnet18", 2, 32, 4, 2, 1e-6);
}
