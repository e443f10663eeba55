// Batch norms folded into convolutions: evaluation has the logits of the network that computes them
// on their own, on every device and in every precision.
#include "engine/folding.h"
#include "models/registry.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "engine/transfer.h"
#include "kernels/device/description.h"
#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

struct FoldedNet {
  const char* name;
  int64_t width, side;
};
const FoldedNet kFoldedNets[] = {
    {"resnet20", 4, 16}, {"resnet18", 4, 33}, {"resnet50", 4, 40}, {"resnet50_32", 16, 8}};

class CallCounts final : public CallObserver {
 public:
  void announce(const CallDescription& call) override { ++counts[call.name]; }
  void begin() override {}
  void end(const char*, double, double) override {}
  std::map<std::string, int> counts;
};

// A network with the values of `source`, and what it makes of the images in evaluation.
struct Evaluated {
  Evaluated(const FoldedNet& net, const Network& source, DType dtype, Device device)
      : stream(device),
        arena(int64_t{256} << 20, device),
        network(make_network({.name = net.name, .classes = 5, .width = net.width}, dtype, stream,
                             State::Use::kValuesOnly)) {
    for (const State::Entry& entry : source.state().entries()) {
      const float* from = entry.tensor.data<float>();
      const State::Entry& to = *network->state().find(entry.name);
      dispatch_parameters(to.tensor.dtype(), [&]<class T>() {
        const std::vector<T> values(from, from + to.tensor.size());
        upload(values.data(), to.tensor, stream);
      });
    }
    network->state().update_copy();
  }

  // With a tape that records, batch norms are not folded; without gradients, as here, it records
  // nothing.
  std::vector<double> logits(const Tensor& images, bool recording) {
    Tape tape(stream, arena, recording);
    const DType dtype = network->state().value_dtype();
    return dispatch_parameters(dtype, [&]<class T>() {
      const Tensor input = tape.empty(images.shape(), dtype);
      const std::vector<T> pixels(images.data<float>(), images.data<float>() + images.size());
      upload(pixels.data(), input, stream);
      CallCounts calls;
      stream.observer = &calls;
      const Tensor output = network->forward(tape, input, Mode::kEvaluate);
      stream.observer = nullptr;
      counts = calls.counts;
      const std::vector<T> values = download<T>(output, stream);
      return std::vector<double>(values.begin(), values.end());
    });
  }

  Stream stream;
  StepArena arena;
  std::unique_ptr<Network> network;
  std::map<std::string, int> counts;  // of the last pass
};

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double squares = 0, errors = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    squares += want[i] * want[i];
    errors += (got[i] - want[i]) * (got[i] - want[i]);
  }
  return std::sqrt(errors / squares);
}

}  // namespace

TEST_CASE("evaluation with folded batch norms is that of the network in double") {
  double worst_single = 0, worst_half = 0;
  for (const FoldedNet& net : kFoldedNets) {
    CAPTURE(std::string(net.name));
    Stream stream(Device::kCpu);
    const auto source = small_network(net.name, stream, 5, net.width);
    randomise(*source, 1);
    const Tensor images = random_tensor({2, net.side, net.side, 3}, DType::kF32, 4);
    Evaluated exact(net, *source, DType::kF64, Device::kCpu);
    const std::vector<double> want = exact.logits(images, false);
    CHECK(exact.counts["fold_batch_norm"] == 0);
    const int convolutions = exact.counts["conv2d_forward"];
    // Independent errors of the convolutions, each of three roundings (weight, sum, output), in
    // units of half a last place: of bf16, or of what Winograd makes of single precision (16).
    const double roundings = std::sqrt(3.0 * convolutions);
    struct Case {
      DType dtype;
      Device device;
      double unit;
    };
    for (const Case& c : {Case{DType::kF32, Device::kCpu, 16 * 0x1p-24},
                          Case{DType::kF32, Device::kEmulated, 16 * 0x1p-24},
                          Case{DType::kBF16, Device::kEmulated, 0x1p-8}}) {
      Evaluated one(net, *source, c.dtype, c.device);
      const double folded = relative_error(one.logits(images, false), want);
      CHECK(one.counts["fold_batch_norm"] == 1);
      CHECK(one.counts["conv2d_forward"] == convolutions);
      for (const char* name : {"batch_norm_forward", "batch_norm_inverse_std"}) {
        CHECK(one.counts[name] == 0);
      }
      const double apart = relative_error(one.logits(images, true), want);
      CHECK(one.counts["fold_batch_norm"] == 0);
      CHECK(one.counts["batch_norm_forward"] > 0);
      const double tolerance = c.unit * roundings;
      MESSAGE(std::string(net.name), " ", std::string(name_of(c.dtype)), " ",
              std::string(name_of(c.device)), ": folded ", folded, ", apart ", apart,
              ", tolerance ", tolerance);
      CHECK(folded <= tolerance);
      CHECK(apart <= tolerance);
      double& worst = c.dtype == DType::kBF16 ? worst_half : worst_single;
      worst = std::max(worst, folded / tolerance);
    }
  }
  CHECK(std::min(worst_single, worst_half) > 0.02);  // else the tolerance tests nothing
}

TEST_CASE_FIXTURE(Inference, "weights are folded anew in each pass") {
  const auto network = small_network("resnet8", stream), other = small_network("resnet8", stream);
  randomise(*network, 1);
  randomise(*other, 2);
  const Tensor images = random_tensor({2, 8, 8, 3}, DType::kF32, 4);
  const auto logits = [&](Network& of) {
    return download<float>(of.forward(tape, images, Mode::kEvaluate), stream);
  };
  const std::vector<float> before = logits(*network), others = logits(*other);
  network->state().copy_from(other->state());
  CHECK(logits(*network) == others);
  CHECK(before != others);
  // Statistics alone.
  const State::Entry& mean = *network->state().find("layer2.0.bn1.running_mean");
  mean.tensor.data<float>()[0] += 1;
  CHECK(logits(*network) != others);
}

TEST_CASE_FIXTURE(OnCpu, "an epilogue has no gradient, and fits its convolution") {
  const auto network = small_network("resnet8", stream);
  Tape tape(stream, arena, true), quiet(stream, arena, false);
  const Tensor x = random_tensor({2, 8, 8, 3}, DType::kF32, 4);
  const Tensor weight = network->state().find("conv1.weight")->tensor;  // wants a gradient
  const Tensor bias = random_tensor({4}, DType::kF32, 5);
  const Tensor small = random_tensor({2, 4, 4, 4}, DType::kF32, 6);
  const auto error = [&](Tape& on, const Conv2dEpilogue& epilogue) {
    return error_of([&] { conv2d(on, x, weight, 1, 1, epilogue); });
  };
  CHECK(error(quiet, {bias, {}, true}) == "");
  CHECK(contains(error(tape, {bias, {}, true}), "recording"));
  CHECK(contains(error(quiet, {bias, small, false}), "[2, 4, 4, 4]"));
  CHECK(contains(error(quiet, {random_tensor({3}, DType::kF32, 5), {}, false}), "bias [3]"));
  CHECK(contains(error(quiet, {{}, {}, true}), "without a bias"));
}
