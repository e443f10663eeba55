// The forward pass: Fixup's formulas by plain loops, its identity at the start, the cut into
// modules, taps, and batch norm's two modes.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.size()};
}

// Largest difference, relative to the largest value.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0, error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double(a[i])));
    error = std::max(error, std::abs(double(a[i]) - b[i]));
  }
  return error / largest;
}

// An image as [channel][row][column] in double, and the operations of the paper's network on it.
struct Image {
  int64_t channels, side;
  std::vector<double> values;
  Image(int64_t channels, int64_t side)
      : channels(channels), side(side), values(static_cast<size_t>(channels * side * side)) {}
  double& at(int64_t c, int64_t h, int64_t w) {
    return values[static_cast<size_t>((c * side + h) * side + w)];
  }
  double padded(int64_t c, int64_t h, int64_t w) const {
    if (h < 0 || w < 0 || h >= side || w >= side) return 0;
    return values[static_cast<size_t>((c * side + h) * side + w)];
  }
};

// A reader of the network's parameters.
struct Weights {
  const State& state;
  double scalar(const std::string& name) const { return *state.find(name)->tensor.data<float>(); }
  Image convolve(const Image& x, const std::string& name, int64_t stride) const {
    const State::Entry& entry = *state.find(name + ".weight");
    const Shape& s = entry.shape;
    const int64_t pad = s[1] / 2;
    Image y(s[0], (x.side + 2 * pad - s[1]) / stride + 1);
    for (int64_t k = 0; k < s[0]; ++k) {
      for (int64_t p = 0; p < y.side; ++p) {
        for (int64_t q = 0; q < y.side; ++q) {
          for (int64_t r = 0; r < s[1]; ++r) {
            for (int64_t t = 0; t < s[2]; ++t) {
              for (int64_t c = 0; c < s[3]; ++c) {
                y.at(k, p, q) += x.padded(c, p * stride - pad + r, q * stride - pad + t) *
                                 entry.tensor.data<float>()[((k * s[1] + r) * s[2] + t) * s[3] + c];
              }
            }
          }
        }
      }
    }
    return y;
  }
};

Image plus(Image x, double value) {
  for (double& v : x.values) v += value;
  return x;
}
Image relu(Image x) {
  for (double& v : x.values) v = std::max(v, 0.0);
  return x;
}

// The reference's Fixup network on one image, written from its formulas.
std::vector<double> fixup_logits(const Network& network, Image x, bool bottleneck,
                                 bool small_images) {
  const Weights w{network.state()};
  x = relu(plus(w.convolve(x, "conv1", small_images ? 1 : 2), w.scalar("bias1")));
  if (!small_images) {
    Image pooled(x.channels, (x.side + 1) / 2);
    for (int64_t c = 0; c < x.channels; ++c) {
      for (int64_t p = 0; p < pooled.side; ++p) {
        for (int64_t q = 0; q < pooled.side; ++q) {
          for (int64_t i = 0; i < 9; ++i) {  // after a ReLU the padding's zero is never larger
            pooled.at(c, p, q) =
                std::max(pooled.at(c, p, q), x.padded(c, 2 * p - 1 + i / 3, 2 * q - 1 + i % 3));
          }
        }
      }
    }
    x = pooled;
  }
  for (const std::string& block : network.state().modules()) {
    if (!block.starts_with("layer")) continue;
    auto scalar = [&](const char* name) { return w.scalar(block + "." + name); };
    const bool first_of_stage = block.ends_with(".0") && block != "layer1.0";
    const int64_t stride = first_of_stage ? 2 : 1;
    const Image shifted = plus(x, scalar("bias1a"));
    Image h(0, 0);
    if (bottleneck) {
      h = relu(plus(w.convolve(shifted, block + ".conv1", 1), scalar("bias1b")));
      h = w.convolve(plus(h, scalar("bias2a")), block + ".conv2", stride);
      h = relu(plus(h, scalar("bias2b")));
      h = w.convolve(plus(h, scalar("bias3a")), block + ".conv3", 1);
    } else {
      h = relu(plus(w.convolve(shifted, block + ".conv1", stride), scalar("bias1b")));
      h = w.convolve(plus(h, scalar("bias2a")), block + ".conv2", 1);
    }
    for (double& v : h.values) v *= scalar("scale");
    h = plus(h, scalar(bottleneck ? "bias3b" : "bias2b"));
    const bool downsample = network.state().find(block + ".downsample.weight") != nullptr;
    const Image identity = downsample ? w.convolve(shifted, block + ".downsample", stride) : x;
    REQUIRE(h.values.size() == identity.values.size());
    for (size_t i = 0; i < h.values.size(); ++i) h.values[i] += identity.values[i];
    x = relu(h);
  }
  std::vector<double> logits;
  const State::Entry& fc = *network.state().find("fc.weight");
  for (int64_t k = 0; k < fc.shape[0]; ++k) {
    double sum = network.state().find("fc.bias")->tensor.data<float>()[k];
    for (int64_t c = 0; c < x.channels; ++c) {
      double mean = 0;
      for (int64_t i = 0; i < x.side * x.side; ++i) {
        mean += x.at(c, i / x.side, i % x.side) / double(x.side * x.side);
      }
      sum += (mean + w.scalar("bias2")) * fc.tensor.data<float>()[k * fc.shape[1] + c];
    }
    logits.push_back(sum);
  }
  return logits;
}

struct Net {
  const char* name;
  int64_t width, side;
};

}  // namespace

TEST_CASE_FIXTURE(Inference, "Fixup networks compute the reference's formulas") {
  for (const Net& net :
       {Net{"fixup_resnet8", 4, 9}, Net{"fixup_resnet14", 3, 8}, Net{"fixup_resnet50_32", 2, 8},
        Net{"fixup_resnet18", 3, 33}, Net{"fixup_resnet50", 2, 32}}) {
    const auto network = small_network(net.name, stream, 5, net.width);
    randomise(*network, 1);
    const Tensor images = random_tensor({2, net.side, net.side, 3}, DType::kF32, 4);
    const Tensor logits = network->forward(tape, images, Mode::kEvaluate);
    REQUIRE(logits.shape() == Shape{2, 5});
    for (int64_t n = 0; n < 2; ++n) {
      Image image(3, net.side);
      for (int64_t h = 0; h < net.side; ++h) {
        for (int64_t w = 0; w < net.side; ++w) {
          for (int64_t c = 0; c < 3; ++c) {
            image.at(c, h, w) = images.data<float>()[((n * net.side + h) * net.side + w) * 3 + c];
          }
        }
      }
      const std::string name = net.name;
      const std::vector<double> want =
          fixup_logits(*network, image, name.find("50") != std::string::npos,
                       name.ends_with("_32") || net.side < 32);
      const std::vector<float> got(logits.data<float>() + 5 * n, logits.data<float>() + 5 * n + 5);
      const double error = difference(std::vector<float>(want.begin(), want.end()), got);
      CHECK_MESSAGE(error < 1e-5, net.name, ": relative error ", error);
    }
  }
}

TEST_CASE_FIXTURE(Inference, "Fixup at the start: every block without downsample is the identity") {
  for (const Net& net : {Net{"fixup_resnet14", 4, 8}, Net{"fixup_resnet50_32", 4, 8},
                         Net{"fixup_resnet50", 4, 32}}) {
    const auto network = small_network(net.name, stream, 5, net.width);
    network->initialize(1);
    std::map<std::string, std::vector<float>> outputs;
    network->forward(tape, random_tensor({2, net.side, net.side, 3}, DType::kF32, 4), Mode::kTrain,
                     [&](const std::string& module, const Tensor& value) {
                       outputs[module] = values_of(value);
                     });
    const std::vector<std::string>& modules = network->state().modules();
    int identities = 0;
    for (size_t i = 1; i + 1 < modules.size(); ++i) {
      const bool downsample = network->state().find(modules[i] + ".downsample.weight") != nullptr;
      CHECK((outputs[modules[i]] == outputs[modules[i - 1]]) == !downsample);
      identities += !downsample;
    }
    CHECK(identities > 0);
  }
}

TEST_CASE_FIXTURE(Inference,
                  "taps see every module once, in order, and leave the logits as they are") {
  for (const char* name : {"fixup_resnet14", "resnet14"}) {
    const auto network = small_network(name, stream);
    randomise(*network, 1);
    const Tensor images = random_tensor({2, 8, 8, 3}, DType::kF32, 4);
    const std::vector<float> logits = values_of(network->forward(tape, images, Mode::kEvaluate));
    std::vector<std::string> seen;
    std::vector<float> last;
    const Tensor tapped = network->forward(tape, images, Mode::kEvaluate,
                                           [&](const std::string& module, const Tensor& value) {
                                             seen.push_back(module);
                                             last = values_of(value);
                                           });
    CHECK(seen == network->state().modules());
    CHECK(last == values_of(tapped));
    CHECK(last == logits);
  }
}

TEST_CASE_FIXTURE(
    Inference,
    "forward cut at any module is forward, and the first part depends on nothing behind it") {
  for (const Net& net :
       {Net{"fixup_resnet14", 4, 8}, Net{"resnet14", 4, 8}, Net{"fixup_resnet50_32", 2, 8},
        Net{"resnet50_32", 2, 8}, Net{"fixup_resnet18", 3, 32}}) {
    const auto network = small_network(net.name, stream, 5, net.width);
    const auto other = small_network(net.name, stream, 5, net.width);
    randomise(*network, 1);
    randomise(*other, 2);
    const Tensor images = random_tensor({2, net.side, net.side, 3}, DType::kF32, 4);
    const size_t modules = network->state().modules().size();
    const std::vector<float> whole = values_of(network->forward(tape, images, Mode::kEvaluate));
    for (size_t cut = 0; cut <= modules; ++cut) {
      const Tensor middle = network->forward_range(tape, images, Mode::kEvaluate, 0, cut);
      const Tensor end = network->forward_range(tape, middle, Mode::kEvaluate, cut, modules);
      CAPTURE(net.name);
      CAPTURE(cut);
      CHECK(values_of(end) == whole);
      // Other weights behind the cut: the same activation.
      for (size_t m = 0; m < cut; ++m) {
        other->state().copy_module_from(network->state(), network->state().modules()[m]);
      }
      const Tensor again = other->forward_range(tape, images, Mode::kEvaluate, 0, cut);
      CHECK(values_of(again) == values_of(middle));
    }
    CHECK(error_of([&] {
            network->forward_range(tape, images, Mode::kEvaluate, 0, modules + 1);
          }) != "");
    CHECK(error_of([&] { network->forward_range(tape, images, Mode::kEvaluate, 2, 1); }) != "");
  }
}

TEST_CASE_FIXTURE(
    Inference,
    "evaluation leaves a network as it is; training moves the running statistics alone") {
  const auto network = small_network("resnet8", stream), before = small_network("resnet8", stream);
  randomise(*network, 1);
  before->state().copy_from(network->state());
  const Tensor images = random_tensor({4, 8, 8, 3}, DType::kF32, 4);
  const std::vector<float> a = values_of(network->forward(tape, images, Mode::kEvaluate));
  CHECK(values_of(network->forward(tape, images, Mode::kEvaluate)) == a);
  CHECK(same_values(network->state(), before->state()));
  network->forward(tape, images, Mode::kTrain);
  for (const State::Entry& entry : network->state().entries()) {
    CHECK(same_values(entry, *before->state().find(entry.name)) == !entry.buffer);
  }
  // After many passes over one batch the running mean is the batch's; the variance differs by the
  // unbiased factor alone.
  for (int i = 0; i < 300; ++i) network->forward(tape, images, Mode::kTrain);
  const std::vector<float> trained = values_of(network->forward(tape, images, Mode::kTrain));
  const std::vector<float> evaluated = values_of(network->forward(tape, images, Mode::kEvaluate));
  const double error = difference(trained, evaluated);
  CHECK(error < 0.1);  // rows 4*2*2 = 16 at least: a variance larger by 16/15 at most
  CHECK(error > 0);
}

TEST_CASE_FIXTURE(Inference, "in evaluation each image is on its own") {
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    const auto network = small_network(name, stream);
    randomise(*network, 1);
    const Tensor both = random_tensor({2, 8, 8, 3}, DType::kF32, 4);
    const Tensor second = random_tensor({1, 8, 8, 3}, DType::kF32, 4);
    std::copy(both.data<float>() + 192, both.data<float>() + 384, second.data<float>());
    const std::vector<float> a = values_of(network->forward(tape, both, Mode::kEvaluate));
    const std::vector<float> b = values_of(network->forward(tape, second, Mode::kEvaluate));
    CHECK(difference({a.begin() + 3, a.end()}, b) < 1e-5);
  }
}

TEST_CASE_FIXTURE(Inference, "images of another shape are refused") {
  const auto network = small_network("fixup_resnet8", stream);
  const Tensor grey = random_tensor({2, 8, 8, 1}, DType::kF32, 4);
  CHECK(contains(error_of([&] { network->forward(tape, grey, Mode::kEvaluate); }), "[2, 8, 8, 1]"));
}
