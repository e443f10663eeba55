// The tape: what is recorded, how gradients are gathered, and that a step is a function of its
// inputs, bit for bit.
#include "engine/tape.h"

#include <doctest/doctest.h>

#include <cstring>

#include "kernels/base/parallel.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

// One parameter of four elements, 1 2 3 4.
struct One {
  Stream stream{Device::kCpu};
  StepArena arena{int64_t{64} << 20};
  State state{DType::kF64, stream};
  Tensor x;
  One() {
    state.begin_module("all");
    x = state.add_parameter("x", {2, 2});
    state.allocate(State::Use::kTraining);
    for (int i = 0; i < 4; ++i) x.data<double>()[i] = 1 + i;
  }
  Tensor targets() const {
    Tensor t(allocate_state(4 * 8), {2, 2}, DType::kF64);
    t.data<double>()[0] = t.data<double>()[3] = 1;
    return t;
  }
};

}  // namespace

TEST_CASE("a tape that does not record saves nothing and marks nothing") {
  One one;
  Tape tape(one.stream, one.arena, false);
  {
    const Tensor sum = add(tape, one.x, one.x);
    CHECK(!sum.requires_gradient());
    const Tensor loss = softmax_cross_entropy(tape, sum, one.targets());
    CHECK(!loss.requires_gradient());
    CHECK(contains(error_of([&] { tape.backward(loss); }), "depends on no parameter"));
  }
  CHECK(one.arena.live_bytes() == 0);  // the tape still lives
  const auto network = small_network("fixup_resnet8", one.stream);
  network->initialize(1);
  StepArena evaluation(int64_t{64} << 20), training(int64_t{64} << 20);
  const Tensor images = random_tensor({8, 16, 16, 3}, DType::kF32, 1);
  {
    Tape without(one.stream, evaluation, false), with(one.stream, training, true);
    const Tensor a = network->forward(without, images, Mode::kTrain);
    const Tensor b = network->forward(with, images, Mode::kTrain);
    CHECK(std::memcmp(a.data<float>(), b.data<float>(), static_cast<size_t>(a.size()) * 4) == 0);
    CHECK(evaluation.live_bytes() * 20 < training.live_bytes());
  }
  CHECK(evaluation.live_bytes() == 0);
  CHECK(training.live_bytes() == 0);
}

TEST_CASE("ops on constants are not recorded") {
  One one;
  Tape tape(one.stream, one.arena, true);
  const Tensor constant = random_tensor({2, 2}, DType::kF64, 1);
  CHECK(!add(tape, constant, constant).requires_gradient());
  CHECK(add(tape, constant, one.x).requires_gradient());
}

TEST_CASE("backward starts at one element that depends on a parameter") {
  One one;
  Tape tape(one.stream, one.arena, true);
  const Tensor sum = add(tape, one.x, one.x);
  CHECK(contains(error_of([&] { tape.backward(sum); }), "[2, 2]"));
}

TEST_CASE("a second use adds to the gradient; a second step writes it anew") {
  One one;
  auto gradient = [&](int uses) {
    Tape tape(one.stream, one.arena, true);
    one.state.begin_step();
    CHECK(!one.x.has_gradient());
    Tensor logits = add(tape, one.x, random_tensor({2, 2}, DType::kF64, 3));
    if (uses == 2) {
      // The halves: half of x twice is x once.
      const Tensor half(allocate_state(8), {1}, DType::kF64);
      *half.data<double>() = 0.5;
      const Tensor scaled = affine_relu(tape, logits, {half, {}, {}, {}, {}, false});
      logits = add(tape, scaled, scaled);
    }
    const Tensor loss = softmax_cross_entropy(tape, logits, one.targets());
    tape.backward(loss);
    CHECK(one.x.has_gradient());
    const double* g = one.x.gradient().data<double>();
    return std::vector<double>(g, g + 4);
  };
  const std::vector<double> once = gradient(1);
  CHECK(gradient(1) == once);  // not the sum of two steps
  CHECK(gradient(2) == once);
  // Two losses on one tape without begin_step between: gradients add up.
  one.state.begin_step();
  for (int i = 0; i < 2; ++i) {
    Tape tape(one.stream, one.arena, true);
    const Tensor logits = add(tape, one.x, random_tensor({2, 2}, DType::kF64, 3));
    tape.backward(softmax_cross_entropy(tape, logits, one.targets()));
  }
  for (int i = 0; i < 4; ++i) {
    CHECK(one.x.gradient().data<double>()[i] == 2 * once[static_cast<size_t>(i)]);
  }
  CHECK(one.arena.live_bytes() == 0);
}

TEST_CASE("what the loss does not depend on gets no gradient") {
  One one;
  Tape tape(one.stream, one.arena, true);
  one.state.begin_step();
  const Tensor used = add(tape, one.x, one.x);
  const Tensor unused = add(tape, used, used);
  tape.backward(softmax_cross_entropy(tape, used, one.targets()));
  CHECK(used.has_gradient());
  CHECK(!unused.has_gradient());
  CHECK(one.x.has_gradient());
}

TEST_CASE_FIXTURE(OnCpu, "the same step twice has the same bits, for any number of threads") {
  for (const char* name : {"fixup_resnet8", "resnet8", "fixup_resnet50_32", "resnet50_32"}) {
    const auto network = small_network(name, stream);
    randomise(*network, 1);
    Training training(*network);
    float first_loss = 0;
    std::vector<float> first;
    for (int threads : {1, 1, 2, 3}) {
      set_threads(threads);
      const float loss = training.gradients(arena);
      if (first.empty()) {
        first_loss = loss;
        first = download_flat<float>(network->state(), network->state().flat_gradients());
      }
      CHECK(loss == first_loss);
      CHECK(download_flat<float>(network->state(), network->state().flat_gradients()) == first);
    }
    set_threads(1);
  }
}

TEST_CASE_FIXTURE(OnCpu, "whole training runs have the same bits for any number of threads") {
  std::vector<std::unique_ptr<Network>> networks;
  for (int threads : {1, 2, 3}) {
    set_threads(threads);
    networks.push_back(small_network("resnet8", stream));
    networks.back()->initialize(5);
    Training training(*networks.back());
    for (int i = 0; i < 5; ++i) training.step(arena, 0.1);
    CHECK(same_values(networks.back()->state(), networks.front()->state()));
    CHECK(same_momentum(networks.back()->state(), networks.front()->state()));
  }
  set_threads(1);
}

TEST_CASE_FIXTURE(OnCpu, "the gradient check notices a wrong gradient") {
  // An op whose gradient is two per mille too large.
  State state(DType::kF64, stream);
  state.begin_module("inputs");
  const Tensor x = state.add_parameter("x", {3});
  state.allocate(State::Use::kTraining);
  for (int i = 0; i < 3; ++i) x.data<double>()[i] = 1 + i;
  const GradientReport report = check_gradients(
      state, arena,
      [&](Tape& tape) {
        Tensor y = tape.empty({1}, DType::kF64);
        *y.data<double>() = std::exp(x.data<double>()[1]);
        return tape.record(y, {x}, [&](const Tensor&) {
          double* const dx = tape.gradient<double>(x).to;
          dx[0] = dx[2] = 0;
          dx[1] = 1.002 * std::exp(x.data<double>()[1]);
        });
      },
      1e-3, 0);
  CHECK(report.worst > 1e-3);
  CHECK(report.where.starts_with("x[1]"));
}
