// Every single operation computes what PyTorch computes in float64: values, gradients, and what a
// call leaves behind (running statistics, momentum).
#include "engine/ops.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <type_traits>

#include "engine/sgd.h"
#include "engine/state.h"
#include "tests/golden/golden.h"

namespace basin::golden {
namespace {

// Rounding of at most a few dozen operations: 1e-12 in double; in float 1e-6, 17 units of rounding.
template <class T>
constexpr double kTolerance = std::is_same_v<T, double> ? 1e-12 : 1e-6;

template <class T>
double distance(const T* x, std::vector<double> y) {
  for (double& value : y) value -= static_cast<double>(*x++);
  return norm(y);
}

// The elements of a golden tensor in the engine's layout.
std::vector<double> engine_layout(const FullTensor& tensor) {
  const auto& shape = tensor.shape;
  if (shape.size() != 4) return tensor.values;
  return channels_last(tensor.values, shape[0], shape[1], shape[2], shape[3]);
}

Shape engine_shape(const std::vector<int64_t>& shape) {
  if (shape.empty()) return {1};
  if (shape.size() == 1) return {shape[0]};
  if (shape.size() == 2) return {shape[0], shape[1]};
  REQUIRE(shape.size() == 4);
  return {shape[0], shape[2], shape[3], shape[1]};
}

// One golden case in type T: its inputs as parameters, so that each has a gradient.
template <class T>
class Run {
 public:
  // `buffers` names the inputs without a gradient.
  Run(const OpCase& golden, const std::vector<std::string>& buffers) : golden_(golden) {
    state_.begin_module("inputs");
    for (const auto& [name, input] : golden_.inputs) {
      if (name == "dy") continue;
      const bool buffer = std::find(buffers.begin(), buffers.end(), name) != buffers.end();
      const Shape shape = engine_shape(input.shape);
      inputs_[name] = buffer ? state_.add_buffer(name, shape) : state_.add_parameter(name, shape);
    }
    state_.allocate(State::Use::kTraining);
    for (const auto& [name, tensor] : inputs_) {
      const std::vector<double> x = engine_layout(golden_.inputs.at(name));
      std::copy(x.begin(), x.end(), tensor.template data<T>());
    }
  }

  Tape& tape() { return tape_; }
  const Tensor& input(const std::string& name) const { return inputs_.at(name); }
  int64_t attribute(const std::string& name) const {
    return static_cast<int64_t>(golden_.attributes.at(name));
  }

  // `x` is the golden output `name`; the error is relative to the larger of the output's norm and
  // `scale`, and absolute where both are zero.
  void check(const std::string& name, const Tensor& x, double scale = 0) const {
    const FullTensor& output = golden_.outputs.at(name);
    CAPTURE(name);
    CHECK(x.shape() == engine_shape(output.shape));
    const std::vector<double> expected = engine_layout(output);
    REQUIRE(static_cast<size_t>(x.size()) == expected.size());
    const double size = std::max(norm(expected), scale);
    CHECK(distance(x.data<T>(), expected) <= kTolerance<T> * (size > 0 ? size : 1));
  }

  // Runs the tape backwards from y with the case's dy.
  void backward(const Tensor& y) {
    const std::vector<double> dy = engine_layout(golden_.inputs.at("dy"));
    REQUIRE(static_cast<size_t>(y.size()) == dy.size());
    const Tensor loss = tape_.record(tape_.empty({1}, dtype_of<T>()), {y},
                                     [this, slot = y.slot(), dy](const Tensor&) {
                                       const Gradient<T> target = tape_.gradient<T>(slot);
                                       REQUIRE(!target.accumulate);
                                       std::copy(dy.begin(), dy.end(), target.to);
                                     });
    *loss.data<T>() = 0;  // only its gradient is of interest
    tape_.backward(loss);
  }

  // The gradient of input `name` is the golden output d<name>.
  void check_gradient(const std::string& name, double scale = 0) const {
    REQUIRE(input(name).has_gradient());
    check("d" + name, input(name).gradient(), scale);
  }

 private:
  const OpCase& golden_;
  Stream stream_{Device::kCpu};
  StepArena arena_{int64_t{64} << 20};
  State state_{dtype_of<T>(), stream_};
  Tape tape_{stream_, arena_, golden_.op != "batch_norm_evaluation"};  // which has no gradient
  std::map<std::string, Tensor> inputs_;
};

// Calls `check(run, golden)` for every case of `op`, in double and in float.
template <class Check>
void for_each_case(const std::string& op, const std::vector<std::string>& buffers,
                   const Check& check) {
  const std::vector<OpCase> cases = read_op_cases(op);
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto in_type = [&]<class T>(T) {
      INFO("case ", i, " in ", std::is_same_v<T, double> ? "double" : "float");
      Run<T> run(cases[i], buffers);
      check(run, cases[i]);
    };
    in_type(double());
    in_type(float());
  }
}

BatchNorm batch_norm_of(const auto& run, const OpCase& golden) {
  return {run.input("weight"), run.input("bias"), run.input("running_mean"),
          run.input("running_var"), golden.attributes.at("epsilon")};
}

// y = op(run), and the gradients of these inputs.
template <class Op>
void check_op(const std::string& name, const std::vector<std::string>& inputs, const Op& op) {
  for_each_case(name, {}, [&](auto& run, const OpCase&) {
    const Tensor y = op(run);
    run.backward(y);
    run.check("y", y);
    for (const std::string& input : inputs) run.check_gradient(input);
  });
}

// A loss op: value and gradient.
template <class Op>
void check_loss(const std::string& name, const Op& op) {
  for_each_case(name, {"labels"}, [&](auto& run, const OpCase&) {
    const Tensor loss = op(run.tape(), run.input("logits"), run.input("labels"));
    run.tape().backward(loss);
    run.check("loss", loss);
    run.check_gradient("logits");
  });
}

}  // namespace

TEST_CASE("max pool") {
  check_op("max_pool", {"x"}, [](auto& run) { return max_pool(run.tape(), run.input("x")); });
}

TEST_CASE("batch norm in training") {
  for_each_case(
      "batch_norm_training", {"running_mean", "running_var"}, [](auto& run, const OpCase& golden) {
        BatchNorm arguments = batch_norm_of(run, golden);
        arguments.momentum = golden.attributes.at("momentum");
        const Tensor y = batch_norm(run.tape(), run.input("x"), arguments, Mode::kTrain, {}, false);
        run.backward(y);
        run.check("y", y);
        run.check("running_mean", run.input("running_mean"));
        run.check("running_var", run.input("running_var"));
        // Of two pixels dx is the small rest of terms as large as dy, and the error is theirs.
        run.check_gradient("x", norm(golden.inputs.at("dy").values));
        run.check_gradient("weight");
        run.check_gradient("bias");
      });
}

TEST_CASE("batch norm in evaluation") {
  for_each_case("batch_norm_evaluation", {"running_mean", "running_var"},
                [](auto& run, const OpCase& golden) {
                  const Tensor y =
                      batch_norm(run.tape(), run.input("x"), batch_norm_of(run, golden),
                                 Mode::kEvaluate, {}, false);
                  run.check("y", y);
                });
}

TEST_CASE("global average pool") {
  check_op("global_average_pool", {"x"},
           [](auto& run) { return global_average_pool(run.tape(), run.input("x")); });
}

TEST_CASE("linear") {
  check_op("linear", {"x", "weight", "bias"}, [](auto& run) {
    return linear(run.tape(), run.input("x"), run.input("weight"), run.input("bias"));
  });
}

TEST_CASE("softmax cross entropy with soft targets") {
  check_loss("softmax_cross_entropy", [](Tape& tape, const Tensor& logits, const Tensor& targets) {
    return softmax_cross_entropy(tape, logits, targets);
  });
}

TEST_CASE("sigmoid cross entropy") {
  check_loss("binary_cross_entropy_with_logits", sigmoid_cross_entropy);
}

TEST_CASE("conv2d") {
  check_op("conv2d", {"x", "weight"}, [](auto& run) {
    return conv2d(run.tape(), run.input("x"), run.input("weight"), run.attribute("stride"),
                  run.attribute("padding"));
  });
}

TEST_CASE_TEMPLATE("sgd", T, double, float) {
  for (const OpCase& golden : read_op_cases("sgd")) {
    const std::vector<double>& start = golden.inputs.at("w").values;
    const std::vector<double>& gradients = golden.inputs.at("gradients").values;
    const std::vector<double>& values_after = golden.outputs.at("w").values;
    const std::vector<double>& rates = golden.attribute_lists.at("learning_rates");
    const size_t size = start.size();
    REQUIRE(gradients.size() == rates.size() * size);
    Stream stream(Device::kCpu);
    StepArena arena(int64_t{1} << 20);
    State state(dtype_of<T>(), stream);
    state.begin_module("all");
    const Tensor w = state.add_parameter("w", {static_cast<int64_t>(size)});
    state.allocate(State::Use::kTraining);
    std::copy(start.begin(), start.end(), w.data<T>());
    Sgd sgd(state, {golden.attributes.at("momentum"), golden.attributes.at("weight_decay")});
    const auto check = [&](const T* x, const double* from) {
      const std::vector<double> expected(from, from + size);
      CHECK(distance(x, expected) <= kTolerance<T> * norm(expected));
    };
    for (size_t step = 0; step < rates.size(); ++step) {
      CAPTURE(step);
      state.begin_step();
      Tape tape(stream, arena, true);
      std::copy_n(&gradients[step * size], size, tape.gradient<T>(w).to);
      sgd.step(rates[step]);
      check(w.data<T>(), &values_after[step * size]);
    }
    check(static_cast<const T*>(state.flat_momentum()),
          golden.outputs.at("momentum").values.data());
  }
}

}  // namespace basin::golden
