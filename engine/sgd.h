// SGD with momentum over a State, with learning-rate and decay factors decided by parameter name,
// and the learning-rate schedules.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/state.h"
#include "kernels/sgd/call.h"

namespace basin {

// How a parameter's learning rate and weight decay follow from its name.
struct SgdFactors {
  double learning_rate = 1, weight_decay = 1;
};
using SgdRule = std::function<SgdFactors(const std::string& name)>;

// The reference's rule (Fixup, and the paper's libtrain.py): names that contain "bias" or "scale",
// fc.bias included, at a tenth of the learning rate; weight decay on everything.
SgdFactors reference_sgd_rule(const std::string& name);

// One rate and the decay for everything.
SgdFactors uniform_sgd_rule(const std::string& name);

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 1e-4;
};

// The table of chunks and the learning rate live in device memory: a captured step follows them.
class Sgd {
 public:
  Sgd(State& state, SgdOptions options, const SgdRule& rule);
  // Of the updates from now on; 0 at first.
  void set_learning_rate(double learning_rate);
  // One update; every parameter's gradient must have been written since State::begin_step().
  void step();
  void step(double learning_rate) {
    set_learning_rate(learning_rate);
    step();
  }

 private:
  State& state_;
  SgdControl control_;  // what control_memory_ holds
  std::shared_ptr<Storage> control_memory_, chunks_;
  int64_t chunk_count_ = 0, size_ = 0;
};

// base * gamma^(number of milestones <= epoch), epochs counted from 0: torch's MultiStepLR stepped
// per epoch. No milestones: constant.
struct Schedule {
  double base = 0.1;
  std::vector<int64_t> milestones;
  double gamma = 0.1;
  double learning_rate(int64_t epoch) const;
};

}  // namespace basin
