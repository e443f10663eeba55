// The gradient of every op against central differences in double: each optional argument, odd
// shapes, and inputs used twice. Kinks are kept away by the choice of the inputs.
#include <set>

#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

// Draws new inputs until no value of `before_relu` is near zero.
void draw_away_from_zero(Inputs& inputs, const std::function<Tensor(Tape&)>& before_relu,
                         double margin) {
  for (uint32_t seed = 1; seed < 100000; seed += 100) {
    inputs.draw(seed);
    double nearest = 1;
    for (double value : inputs.values_of(before_relu)) {
      nearest = std::min(nearest, std::abs(value));
    }
    if (nearest > margin) return;
  }
  FAIL("no inputs away from the kink of the ReLU");
}

// Distances of 0.1 between any two values, in random order: no maximum changes within a step.
void space_out(const Tensor& x) {
  std::vector<int64_t> order(static_cast<size_t>(x.size()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  RandomStream random(3, RandomPurpose::kNoise);
  shuffle(order.begin(), order.end(), random);
  for (size_t i = 0; i < order.size(); ++i) {
    x.data<double>()[i] = 0.1 * static_cast<double>(order[i]) - 2;
  }
}

}  // namespace

TEST_CASE("gradient of conv2d") {
  struct Case {
    Shape x, weight;
    int64_t stride, padding;
  };
  for (const Case& c :
       {Case{{1, 1, 1, 1}, {1, 1, 1, 1}, 1, 0}, Case{{2, 5, 4, 3}, {4, 3, 3, 3}, 1, 1},
        Case{{1, 7, 6, 2}, {3, 3, 3, 2}, 2, 1}, Case{{3, 5, 5, 3}, {5, 1, 1, 3}, 2, 0},
        Case{{1, 9, 8, 1}, {2, 7, 7, 1}, 2, 3}, Case{{2, 3, 3, 17}, {1, 1, 1, 17}, 1, 0}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", c.x), weight = inputs.add("weight", c.weight);
    inputs.allocate();
    inputs.check("conv2d " + c.x.text() + c.weight.text(),
                 [&](Tape& tape) { return conv2d(tape, x, weight, c.stride, c.padding); });
  }
}

TEST_CASE("gradient of affine_relu, for every optional argument") {
  for (int options = 0; options < 64; ++options) {
    for (const Shape& shape : {Shape{2, 3, 1, 5}, Shape{1, 7}, Shape{1}}) {
      Inputs inputs;
      const Tensor x = inputs.add("x", shape);
      AffineRelu arguments;
      if (options & 1) arguments.scale = inputs.add("scale", {1});
      if (options & 2) arguments.bias = inputs.add("bias", {1});
      if (options & 4) arguments.residual = inputs.add("residual", shape);
      if (options & 8) arguments.residual_shift = inputs.add("residual_shift", {1});
      if (options & 16) arguments.shift = inputs.add("shift", {1});
      arguments.relu = false;
      inputs.allocate();
      AffineRelu unshifted = arguments;
      unshifted.shift = {};
      draw_away_from_zero(
          inputs, [&](Tape& tape) { return affine_relu(tape, x, unshifted); }, 0.03);
      arguments.relu = options & 32;
      inputs.check("affine_relu, options " + std::to_string(options) + ", " + shape.text(),
                   [&](Tape& tape) { return affine_relu(tape, x, arguments); });
    }
  }
}

TEST_CASE("gradient of affine_relu of one tensor in two places") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 3, 3, 2}), scalar = inputs.add("scalar", {1});
  inputs.allocate();
  const AffineRelu arguments{scalar, {}, x, scalar, scalar, false};
  inputs.check("x as residual, one scalar thrice",
               [&](Tape& tape) { return affine_relu(tape, x, arguments); });
}

TEST_CASE("gradient of batch_norm, with and without residual and ReLU") {
  for (int options = 0; options < 4; ++options) {
    for (const Shape& shape : {Shape{2, 3, 3, 3}, Shape{1, 2, 5, 1}, Shape{3, 1, 1, 5}}) {
      const int64_t channels = shape[3];
      Inputs inputs;
      const Tensor x = inputs.add("x", shape);
      BatchNorm norm;
      norm.weight = inputs.add("weight", {channels});
      norm.bias = inputs.add("bias", {channels});
      norm.running_mean = inputs.add_buffer("running_mean", {channels});
      norm.running_variance = inputs.add_buffer("running_var", {channels});
      const Tensor residual = options & 1 ? inputs.add("residual", shape) : Tensor();
      inputs.allocate();
      draw_away_from_zero(
          inputs,
          [&](Tape& tape) { return batch_norm(tape, x, norm, Mode::kTrain, residual, false); },
          0.03);
      inputs.check("batch_norm, options " + std::to_string(options) + ", " + shape.text(),
                   [&](Tape& tape) {
                     return batch_norm(tape, x, norm, Mode::kTrain, residual, options & 2);
                   });
    }
  }
}

TEST_CASE("gradient of batch_norm whose input is its residual too") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 3, 3, 2});
  BatchNorm norm{inputs.add("weight", {2}), inputs.add("bias", {2}),
                 inputs.add_buffer("running_mean", {2}), inputs.add_buffer("running_var", {2})};
  inputs.allocate();
  inputs.check("batch_norm(x) + x",
               [&](Tape& tape) { return batch_norm(tape, x, norm, Mode::kTrain, x, false); });
}

TEST_CASE("gradient of dual_batch_norm, also of one tensor in both places") {
  for (const Shape& shape : {Shape{2, 3, 3, 3}, Shape{1, 2, 5, 1}, Shape{3, 2, 1, 5}}) {
    for (const bool same : {false, true}) {
      const int64_t channels = shape[3];
      Inputs inputs;
      const Tensor x = inputs.add("x", shape), other = same ? x : inputs.add("shortcut", shape);
      auto add_norm = [&](const std::string& name) {
        return BatchNorm{inputs.add(name + "weight", {channels}),
                         inputs.add(name + "bias", {channels}),
                         inputs.add_buffer(name + "running_mean", {channels}),
                         inputs.add_buffer(name + "running_var", {channels})};
      };
      const BatchNorm norm = add_norm(""), other_norm = add_norm("shortcut_");
      inputs.allocate();
      draw_away_from_zero(
          inputs,
          [&](Tape& tape) {
            const Tensor shortcut = batch_norm(tape, other, other_norm, Mode::kTrain, {}, false);
            return batch_norm(tape, x, norm, Mode::kTrain, shortcut, false);
          },
          0.03);
      inputs.check("dual_batch_norm, " + shape.text(), [&](Tape& tape) {
        return dual_batch_norm(tape, x, norm, other, other_norm, Mode::kTrain);
      });
    }
  }
}

TEST_CASE("gradient of batch_norm_max_pool, also of an input that is used twice") {
  for (const Shape& shape : {Shape{2, 5, 4, 3}, Shape{1, 6, 7, 2}, Shape{3, 1, 2, 5}}) {
    const int64_t channels = shape[3];
    Inputs inputs;
    const Tensor x = inputs.add("x", shape);
    const BatchNorm norm{inputs.add("weight", {channels}), inputs.add("bias", {channels}),
                         inputs.add_buffer("running_mean", {channels}),
                         inputs.add_buffer("running_var", {channels})};
    inputs.allocate();
    draw_away_from_zero(
        inputs,
        [&](Tape& tape) {
          space_out(x);
          return batch_norm(tape, x, norm, Mode::kTrain, {}, false);
        },
        0.01);
    auto op = [&](Tape& tape) { return batch_norm_max_pool(tape, x, norm, Mode::kTrain); };
    inputs.check("batch_norm_max_pool " + shape.text(), op);
    inputs.check("batch_norm_max_pool twice, " + shape.text(),
                 [&](Tape& tape) { return add(tape, op(tape), op(tape)); });
  }
}

TEST_CASE("gradient of max_pool") {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 5, 4, 3}, Shape{1, 6, 7, 2}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", shape);
    inputs.allocate();
    space_out(x);
    inputs.check("max_pool " + shape.text(), [&](Tape& tape) { return max_pool(tape, x); });
  }
}

TEST_CASE("gradient of global_average_pool") {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 5, 4, 3}, Shape{3, 2, 3, 65}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", shape);
    inputs.allocate();
    inputs.check("global_average_pool " + shape.text(),
                 [&](Tape& tape) { return global_average_pool(tape, x); });
  }
}

TEST_CASE("gradient of linear") {
  struct Case {
    int64_t rows, in, out;
  };
  for (const Case& c : {Case{1, 1, 1}, Case{3, 5, 2}, Case{4, 7, 17}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", {c.rows, c.in}), weight = inputs.add("weight", {c.out, c.in});
    const Tensor bias = inputs.add("bias", {c.out});
    inputs.allocate();
    inputs.check("linear", [&](Tape& tape) { return linear(tape, x, weight, bias); });
  }
}

TEST_CASE("gradient of add, also of a tensor to itself") {
  Inputs inputs;
  const Tensor a = inputs.add("a", {2, 3, 1, 5}), b = inputs.add("b", {2, 3, 1, 5});
  inputs.allocate();
  inputs.check("a + b", [&](Tape& tape) { return add(tape, a, b); });
  inputs.check("(a + a) + b", [&](Tape& tape) { return add(tape, add(tape, a, a), b); });
}

TEST_CASE("gradients of the losses") {
  for (const Shape& shape : {Shape{1, 2}, Shape{3, 5}, Shape{2, 17}}) {
    Inputs inputs;
    const Tensor logits = inputs.add("logits", shape);
    const Tensor targets = inputs.add_buffer("targets", shape);
    inputs.allocate();
    for (int64_t i = 0; i < targets.size(); ++i) {
      targets.data<double>()[i] = std::abs(targets.data<double>()[i]) / 3;
    }
    inputs.check("softmax_cross_entropy " + shape.text(),
                 [&](Tape& tape) { return softmax_cross_entropy(tape, logits, targets); });
    inputs.check("sigmoid_cross_entropy " + shape.text(),
                 [&](Tape& tape) { return sigmoid_cross_entropy(tape, logits, targets); });
  }
}

TEST_CASE("every op adds to the gradient of an input that is used twice") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 4, 4, 2}), weight = inputs.add("weight", {2, 3, 3, 2});
  const Tensor fc = inputs.add("fc", {2, 2}), fc_bias = inputs.add("fc_bias", {2});
  const Tensor scale = inputs.add("scale", {1}), bias = inputs.add("bias", {1});
  BatchNorm norm{inputs.add("norm_weight", {2}), inputs.add("norm_bias", {2}),
                 inputs.add_buffer("running_mean", {2}), inputs.add_buffer("running_var", {2})};
  const Tensor targets = inputs.add_buffer("targets", {2, 2});
  inputs.allocate();
  // Each function runs its op twice on the same inputs; `half` keeps the two uses different.
  auto twice = [&](const std::string& what, const std::function<Tensor(Tape&, bool)>& op) {
    inputs.check(what + " twice", [&](Tape& tape) {
      const Tensor first = op(tape, false), second = op(tape, true);
      // All parameters take part, so that each has a gradient.
      const Tensor rest = linear(
          tape,
          global_average_pool(
              tape, batch_norm(tape, conv2d(tape, x, weight, 1, 1), norm, Mode::kTrain, {}, false)),
          fc, fc_bias);
      const Tensor scalars = affine_relu(tape, rest, {scale, bias, {}, {}, {}, false});
      const Tensor all = add(tape, first, second);
      const Tensor left = softmax_cross_entropy(tape, scalars, targets);
      const Tensor right = weighted_sum(tape, all, normals(all.size(), 4));
      return add(tape, left, right);
    });
  };
  twice("conv2d", [&](Tape& tape, bool) { return conv2d(tape, x, weight, 2, 1); });
  twice("affine_relu", [&](Tape& tape, bool second) {
    return affine_relu(tape, x, {scale, bias, second ? x : Tensor(), {}, scale, false});
  });
  twice("batch_norm", [&](Tape& tape, bool second) {
    return batch_norm(tape, x, norm, Mode::kTrain, second ? x : Tensor(), false);
  });
  twice("global_average_pool", [&](Tape& tape, bool) { return global_average_pool(tape, x); });
  twice("linear",
        [&](Tape& tape, bool) { return linear(tape, global_average_pool(tape, x), fc, fc_bias); });
  twice("linear of one input", [&](Tape& tape, bool) { return linear(tape, fc, fc, fc_bias); });
  twice("softmax_cross_entropy",
        [&](Tape& tape, bool) { return softmax_cross_entropy(tape, fc, targets); });
  twice("sigmoid_cross_entropy",
        [&](Tape& tape, bool) { return sigmoid_cross_entropy(tape, fc, targets); });
}

TEST_CASE("max_pool adds to the gradient of an input that is used twice") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {1, 5, 6, 2});
  inputs.allocate();
  for (int64_t i = 0; i < x.size(); ++i) {
    x.data<double>()[i] = 0.1 * static_cast<double>(i * 37 % x.size());
  }
  inputs.check("max_pool twice",
               [&](Tape& tape) { return add(tape, max_pool(tape, x), max_pool(tape, x)); });
}

TEST_CASE("a wrong gradient is noticed") {
  // The check itself: an op that records two per mille too much fails it.
  Stream stream(Device::kCpu);
  StepArena arena(kTestArenaBytes);
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
          const GradientTarget dx = tape.gradient_target(x);
          for (int i = 0; i < 3; ++i) dx.data<double>()[i] = 0;
          dx.data<double>()[1] = 1.002 * std::exp(x.data<double>()[1]);
        });
      },
      1e-3, 0);
  CHECK(report.worst > 1e-3);
  CHECK(report.where.starts_with("x[1]"));
}
