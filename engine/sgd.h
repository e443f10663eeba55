// SGD with momentum over a State, and the learning-rate schedule.
#pragma once

#include <string>
#include <vector>

#include "engine/state.h"
#include "kernels/sgd/call.h"

namespace basin {

// The factor of a parameter's learning rate: a tenth for names that contain "bias" or "scale",
// fc.bias included, else 1. Source: Fixup, and libtrain.py of the paper's code.
double learning_rate_factor(const std::string& name);

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 1e-4;  // of all parameters
};

// The table of chunks and the learning rate live in device memory: a captured step follows them.
class Sgd {
 public:
  Sgd(State& state, SgdOptions options);
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
