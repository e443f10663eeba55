// What every network offers: a State and a forward pass that is cut into the paper's modules.
#pragma once

#include <functional>
#include <string>

#include "engine/ops.h"
#include "engine/state.h"

namespace basin {

struct ModelOptions {
  std::string name;           // see model_names()
  int64_t classes = 10;       // outputs of fc
  int64_t width = 0;          // channels of the first stage; 0: the network's own
  bool zero_fc_init = false;  // Fixup's original: fc starts at zero. false is the paper's "nzfc"
};

// Told of the output of each module: "conv1", "layer1.0", ..., "fc" (the logits).
using Tap = std::function<void(const std::string& module, const Tensor& value)>;

class Network {
 public:
  virtual ~Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const ModelOptions& options() const { return options_; }
  State& state() { return state_; }
  const State& state() const { return state_; }

  // images [N,H,W,3], normalised, f32 or of the network's type -> logits [N, classes]. The logits
  // of a network in bf16 are f32.
  Tensor forward(Tape& tape, const Tensor& images, Mode mode, const Tap& tap = nullptr);

  // Runs modules [begin, end) of state().modules() on the images (begin 0) or on what the modules
  // before gave. The result depends on the weights of modules before `end` alone, so it can be kept
  // while later ones change. However the modules are cut into ranges, the logits have the bits of
  // forward().
  Tensor forward_range(Tape& tape, const Tensor& input, Mode mode, size_t begin, size_t end);

  // As State has them.
  void initialize(uint64_t seed) { state_.initialize(seed); }
  void initialize_module(uint64_t seed, const std::string& module) {
    state_.initialize_module(seed, module);
  }

  // Batch norm has running statistics; they are the only buffers.
  bool has_batch_norm() const { return state_.has_buffers(); }
  // The share of a batch's statistics in the running ones, from now on.
  virtual void set_batch_norm_momentum(double) {}

 protected:
  Network(ModelOptions options, DType dtype, Stream& stream)
      : options_(std::move(options)), state_(dtype, stream) {}

  // Modules [begin, end), as forward_range(). `tap`, unless null, is told of each module's output.
  virtual Tensor run_modules(Tape& tape, Tensor input, Mode mode, size_t begin, size_t end,
                             const Tap& tap) = 0;

  ModelOptions options_;
  State state_;
};

}  // namespace basin
