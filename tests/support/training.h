// A small training run for tests: one network, one batch, one optimiser.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/sgd.h"
#include "kernels/base/random.h"
#include "models/registry.h"

namespace basin::test {

// The CPU, with memory for the steps of small networks.
struct OnCpu {
  Stream stream{Device::kCpu};
  StepArena arena{int64_t{256} << 20};
};

// And a tape that does not record.
struct Inference : OnCpu {
  Tape tape{stream, arena, false};
};

// Elements drawn from N(0, 1), outside of any arena.
inline Tensor random_tensor(const Shape& shape, DType dtype, uint32_t seed) {
  Tensor tensor(allocate_state(shape.elements() * size_of(dtype)), shape, dtype);
  RandomStream random(seed, RandomPurpose::kNoise, 55);
  dispatch_parameters(dtype, [&]<class T>() {
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.data<T>()[i] = static_cast<T>(random.normal());
    }
  });
  return tensor;
}

inline std::unique_ptr<Network> small_network(const std::string& name, Stream& stream,
                                              int64_t classes = 3, int64_t width = 4,
                                              DType dtype = DType::kF32) {
  return make_network({.name = name, .classes = classes, .width = width}, dtype, stream,
                      State::Use::kTraining);
}

// All parameters and buffers differ from their initial values and from each other.
inline void randomise(Network& network, uint64_t seed) {
  network.initialize(seed);
  for (const std::string& module : network.state().modules()) {
    network.state().add_noise(module, 0.1, seed, 0);
  }
  for (const State::Entry& entry : network.state().entries()) {
    if (!entry.buffer) continue;
    RandomStream random(seed, RandomPurpose::kNoise, 66, static_cast<uint32_t>(entry.offset));
    // Means of both signs: else ReLUs leave nothing of an image in evaluation.
    const float least = entry.name.ends_with("running_mean") ? -0.5f : 0.5f;
    for (int64_t i = 0; i < entry.shape.elements(); ++i) {
      entry.tensor.data<float>()[i] = random.uniform(least, least + 1);
    }
  }
}

inline bool same_values(const State::Entry& a, const State::Entry& b) {
  return a.shape == b.shape &&
         std::memcmp(a.tensor.data<float>(), b.tensor.data<float>(),
                     static_cast<size_t>(a.shape.elements()) * sizeof(float)) == 0;
}

// Whether all parameters and buffers have the same bits.
inline bool same_values(const State& a, const State& b) {
  return std::equal(a.entries().begin(), a.entries().end(), b.entries().begin(), b.entries().end(),
                    [](const State::Entry& x, const State::Entry& y) { return same_values(x, y); });
}

inline bool same_momentum(const State& a, const State& b) {
  return a.flat_size() == b.flat_size() &&
         std::memcmp(a.flat_momentum(), b.flat_momentum(),
                     static_cast<size_t>(a.flat_size() * size_of(a.dtype()))) == 0;
}

// One of a State's flat arrays.
template <class T>
std::vector<T> download_flat(const State& state, const void* from) {
  std::vector<T> values(static_cast<size_t>(state.flat_size()));
  state.stream().copy_to_host(values.data(), from, state.flat_size() * int64_t{sizeof(T)});
  return values;
}

class Training {
 public:
  static constexpr int64_t kBatch = 3, kSide = 8;

  explicit Training(Network& network)
      : network_(network),
        sgd_(network.state(), {}),
        images_(random_tensor({kBatch, kSide, kSide, 3}, DType::kF32, 9)),
        targets_(random_tensor({kBatch, network.options().classes}, DType::kF32, 10)) {
    for (int64_t i = 0; i < targets_.size(); ++i) {
      targets_.data<float>()[i] = i % targets_.shape()[1] == i / targets_.shape()[1] ? 1.0f : 0.0f;
    }
  }
  // Forward and backward; returns the loss.
  float gradients(StepArena& arena) {
    Tape tape(network_.state().stream(), arena, true);
    network_.state().begin_step();
    const Tensor loss =
        softmax_cross_entropy(tape, network_.forward(tape, images_, Mode::kTrain), targets_);
    tape.backward(loss);
    return *loss.data<float>();
  }
  float step(StepArena& arena, double learning_rate) {
    const float loss = gradients(arena);
    sgd_.step(learning_rate);
    return loss;
  }

 private:
  Network& network_;
  Sgd sgd_;
  Tensor images_, targets_;
};

}  // namespace basin::test
