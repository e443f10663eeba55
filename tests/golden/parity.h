// A network run on a golden case and compared with it: logits, running statistics, every gradient,
// and the losses and updates of ten SGD steps.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/sgd.h"
#include "engine/transfer.h"
#include "models/registry.h"
#include "tests/golden/golden.h"

namespace basin::golden {

template <class T>
std::vector<double> read(const Tensor& tensor, Stream& stream) {
  const std::vector<T> elements = download<T>(tensor, stream);
  std::vector<double> x(elements.begin(), elements.end());
  const Shape& shape = tensor.shape();
  return shape.rank() == 4 ? channels_first(x, shape[0], shape[1], shape[2], shape[3]) : x;
}

template <class T>
void write(const std::vector<double>& x, const Tensor& to, Stream& stream) {
  REQUIRE(static_cast<int64_t>(x.size()) == to.size());
  const std::vector<T> elements(x.begin(), x.end());
  upload(elements.data(), to, stream);
}

template <class T>
Tensor constant(Tape& tape, Shape shape, const std::vector<double>& x) {
  Tensor tensor = tape.empty(shape, dtype_of<T>());
  write<T>(x, tensor, tape.stream());
  return tensor;
}

// A network with a case's weights; T is the type it computes in.
template <class T>
class ModelRun {
 public:
  explicit ModelRun(const std::string& name, Device device = Device::kCpu,
                    const StreamOptions& of_stream = {})
      : golden_(read_model_case(name)), stream_(device, of_stream), arena_(0, device) {
    ModelOptions options;
    options.name = golden_.model;
    options.classes = golden_.classes;
    network_ = make_network(options, dtype_of<T>(), stream_, State::Use::kTraining);
    REQUIRE(network_->state().entries().size() == golden_.tensors.size());
    for (const auto& entry : network_->state().entries()) {
      CAPTURE(entry.name);
      REQUIRE(golden_.tensors.contains(entry.name));
      const Drawn& drawn = golden_.tensors.at(entry.name);
      REQUIRE(entry.tensor.size() == drawn.elements());
      std::vector<double> x = initial(entry.name);
      const Shape& shape = entry.shape;
      if (shape.rank() == 4) {
        REQUIRE(drawn.shape == std::vector<int64_t>{shape[0], shape[3], shape[1], shape[2]});
        x = channels_last(x, shape[0], shape[3], shape[1], shape[2]);
      }
      write<T>(x, entry.tensor, stream_);
    }
  }

  const ModelCase& golden() const { return golden_; }

  void check_evaluation(double tolerance) {
    Tape tape(stream_, arena_, false);
    const Tensor logits = network_->forward(tape, images(tape, 0), Mode::kEvaluate);
    CHECK(golden_.eval_logits.error("logits", read<T>(logits, stream_)) < tolerance);
  }

  // One step without its update: logits, loss and running statistics within `tolerance`, gradients
  // within `gradient_tolerance`.
  void check_first_step(double tolerance, double gradient_tolerance) {
    const double loss = forward_backward(0, [&](const Tensor& logits) {
      CHECK(golden_.train_logits.error("logits", read<T>(logits, stream_)) < tolerance);
    });
    CHECK(std::abs(loss / golden_.losses[0] - 1) < tolerance);
    double worst = 0;
    std::string worst_name;
    for (const auto& entry : network_->state().entries()) {
      CAPTURE(entry.name);
      if (entry.buffer) {
        CHECK(
            golden_.running_stats.at(entry.name).error(entry.name, read<T>(entry.tensor, stream_)) <
            tolerance);
        continue;
      }
      const double error = golden_.gradients.at(entry.name)
                               .error(entry.name, read<T>(entry.tensor.gradient(), stream_));
      CHECK(error < gradient_tolerance);
      if (!(error <= worst)) {
        worst = error;
        worst_name = entry.name;
      }
    }
    MESSAGE(golden_.model, " worst gradient: ", worst_name, " ", worst);
  }

  // The losses of ten steps from the generated weights, by the reference's rule for learning rates.
  void check_losses(double tolerance) {
    CHECK(golden_.losses.size() == 10);
    Sgd sgd(network_->state(), {golden_.momentum, golden_.weight_decay});
    double worst = 0;
    for (size_t step = 0; step < golden_.losses.size(); ++step) {
      CAPTURE(step);
      const double loss = forward_backward(static_cast<int64_t>(step), [](const Tensor&) {});
      const double error = std::abs(loss / golden_.losses[step] - 1);
      CHECK(error < tolerance);
      worst = std::max(worst, error);
      sgd.step(golden_.learning_rate);
    }
    MESSAGE(golden_.model, " worst loss: ", worst);
  }

  // What the ten steps of check_losses() have changed each parameter by.
  void check_updates(double tolerance) {
    double worst = 0;
    for (const auto& entry : network_->state().entries()) {
      if (entry.buffer) continue;
      CAPTURE(entry.name);
      std::vector<double> update = read<T>(entry.tensor, stream_);
      const std::vector<double> start = initial(entry.name);
      for (size_t i = 0; i < update.size(); ++i) update[i] -= start[i];
      const double error = golden_.updates.at(entry.name).error(entry.name, update);
      CHECK(error < tolerance);
      worst = std::max(worst, error);
    }
    MESSAGE(golden_.model, " worst update: ", worst);
  }

 private:
  // The values a tensor of the network starts from, in PyTorch's layout.
  std::vector<double> initial(const std::string& name) const {
    const Drawn& drawn = golden_.tensors.at(name);
    const auto x = values(name, drawn.elements(), drawn.center, drawn.amplitude);
    return {x.begin(), x.end()};
  }
  Tensor images(Tape& tape, int64_t step) {
    return constant<T>(tape, {golden_.batch, golden_.image_size, golden_.image_size, 3},
                       golden_.images(step));
  }
  Tensor targets(Tape& tape, int64_t step) {
    return constant<T>(tape, {golden_.batch, golden_.classes}, golden_.targets(step));
  }

  template <class Look>
  double forward_backward(int64_t step, const Look& look) {
    network_->state().begin_step();
    Tape tape(stream_, arena_, true);
    const Tensor logits = network_->forward(tape, images(tape, step), Mode::kTrain);
    look(logits);
    const Tensor loss = softmax_cross_entropy(tape, logits, targets(tape, step));
    const auto value = static_cast<double>(download<T>(loss, stream_)[0]);
    tape.backward(loss);
    return value;
  }

  ModelCase golden_;
  Stream stream_;
  StepArena arena_;
  std::unique_ptr<Network> network_;
};

inline constexpr const char* kSmallNetworks[] = {"fixup_resnet20", "resnet20"};

// The first step in single precision, on images that keep away from kinks.
inline void check_first_step_in_single(const std::string& name, Device device = Device::kCpu,
                                       const StreamOptions& options = {}) {
  CAPTURE(name);
  ModelRun<float> run(name, device, options);
  if (run.golden().eval_logits.norm > 0) run.check_evaluation(1e-5);
  run.check_first_step(1e-4, 1e-4);
}

inline void check_first_step_in_double(const std::string& name) {
  CAPTURE(name);
  ModelRun<double> run(name);
  if (run.golden().eval_logits.norm > 0) run.check_evaluation(1e-11);
  run.check_first_step(1e-11, 1e-11);
}

inline void check_ten_steps_in_single(const std::string& name, Device device = Device::kCpu,
                                      const StreamOptions& options = {}) {
  CAPTURE(name);
  ModelRun<float>(name, device, options).check_losses(1e-3);
}

}  // namespace basin::golden
