// What every network offers: a State, a forward pass cut into the paper's modules, and its initial
// weights.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/folding.h"
#include "engine/ops.h"
#include "engine/state.h"

namespace basin {

struct ModelOptions {
  std::string name;      // see model_names()
  int64_t classes = 10;  // outputs of fc
  int64_t width = 0;  // channels of the first stage; 0: the model's own (64, or 16 for 32x32 nets)
  bool zero_fc_init = false;  // Fixup's original: fc starts at zero. false is the paper's "nzfc"
};

// What flows between modules. When `shift` is set, `value` already carries that scalar: a Fixup
// block stores only out + bias1a of the block behind it.
struct Activation {
  Tensor value;
  Tensor shift;
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

  // images [N,H,W,3], normalised, f32 or of the network's type -> logits [N, classes]; of a network
  // in bf16, logits are f32.
  Tensor forward(Tape& tape, const Tensor& images, Mode mode, const Tap& tap = nullptr);

  // Runs modules [begin, end) of state().modules(). Between calls the activation carries no shift,
  // so that it depends on the weights of modules before `end` alone and can be kept while later
  // ones change. However the modules are cut into ranges, the logits have the bits of forward().
  // Evaluation without recording, in f32 or bf16, folds batch norms into the convolutions, anew in
  // each call.
  Activation forward_range(Tape& tape, Activation input, Mode mode, size_t begin, size_t end);

  // Draws all parameters anew: a function of (seed, place of the parameter) alone; buffers to mean
  // 0, var 1.
  void initialize(uint64_t seed);
  // Draws only the parameters of one module, as initialize(seed) would.
  void initialize_module(uint64_t seed, const std::string& module);

  virtual bool has_batch_norm() const = 0;
  // Share of a batch's statistics in the running ones, from now on; without batch norm nothing.
  virtual void set_batch_norm_momentum(double momentum) = 0;

 protected:
  Network(ModelOptions options, DType dtype, Stream& stream)
      : options_(std::move(options)), state_(dtype, stream) {}

  // Module `index` of state().modules(). `next_shift`: to be added to the output, empty: nothing.
  // `folded`: what `folding_` made for this pass; none: batch norms are computed on their own.
  virtual Activation forward_module(Tape& tape, size_t index, const Activation& input, Mode mode,
                                    const Tensor& next_shift,
                                    const std::vector<FoldedConvolution>& folded) = 0;
  // The scalar that module `index` adds to its input, empty when none.
  virtual Tensor input_shift(size_t index) const = 0;

  // How a parameter starts.
  struct Init {
    enum class Kind { kConstant, kNormal, kUniform } kind = Kind::kConstant;
    double value = 0;  // the constant, the standard deviation, or the bound of U(-bound, bound)
  };
  virtual Init init_of(const State::Entry& entry) const = 0;

  ModelOptions options_;
  State state_;
  std::unique_ptr<Folding> folding_;  // null: there is nothing to fold

 private:
  Activation run_modules(Tape& tape, Activation input, Mode mode, size_t begin, size_t end,
                         const Tap& tap);
  void initialize_entries(uint64_t seed, const std::string* module);
};

// A network of the given name on `stream`, allocated for `use`, weights uninitialised (zero).
// `dtype`: of activations; see State.
// Throws Error listing the known names.
std::unique_ptr<Network> make_network(const ModelOptions& options, DType dtype, Stream& stream,
                                      State::Use use);

// All names make_network() knows.
std::vector<std::string> model_names();

}  // namespace basin
