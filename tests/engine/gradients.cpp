// Gradients of the batch normalisations against central differences in double: each optional
// argument, odd shapes, and inputs used twice.
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

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

TEST_CASE("batch_norm adds to the gradient of an input that is used twice") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 4, 4, 2});
  const BatchNorm norm = inputs.add_norm("norm_", 2);
  inputs.allocate();
  inputs.check_sum(
      "batch_norm twice",
      [&](Tape& tape) { return batch_norm(tape, x, norm, Mode::kTrain, {}, false); },
      [&](Tape& tape) { return batch_norm(tape, x, norm, Mode::kTrain, x, false); });
}
