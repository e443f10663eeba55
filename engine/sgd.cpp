// SGD over the chunks of a State, and schedules.
#include "engine/sgd.h"

#include <algorithm>

#include "kernels/run.h"

namespace basin {

SgdFactors reference_sgd_rule(const std::string& name) {
  const bool tenth =
      name.find("bias") != std::string::npos || name.find("scale") != std::string::npos;
  return {tenth ? 0.1 : 1.0, 1.0};
}

SgdFactors uniform_sgd_rule(const std::string&) {
  return {};
}

Sgd::Sgd(State& state, SgdOptions options, const SgdRule& rule)
    : state_(state), control_{0, options.momentum, options.weight_decay} {
  constexpr int64_t kChunk = 16384;
  for (const State::Entry& entry : state.entries()) {
    if (entry.buffer) continue;
    const SgdFactors factors = rule(entry.name);
    const int64_t size = entry.shape.elements();
    for (int64_t begin = 0; begin < size; begin += kChunk) {
      chunks_.push_back({entry.offset + begin, std::min(kChunk, size - begin),
                         factors.learning_rate, factors.weight_decay});
    }
    size_ += size;
  }
}

void Sgd::step(double learning_rate) {
  state_.check_gradients_written();
  control_.learning_rate = learning_rate;
  dispatch(state_.dtype(), [&]<class T>() {
    run(SgdStep<T>{static_cast<T*>(state_.flat_values()),
                   static_cast<const T*>(state_.flat_gradients()),
                   static_cast<T*>(state_.flat_momentum()), chunks_.data(),
                   static_cast<int64_t>(chunks_.size()), size_, &control_},
        state_.stream());
  });
}

double Schedule::learning_rate(int64_t epoch) const {
  double rate = base;
  for (const int64_t milestone : milestones) rate *= epoch >= milestone ? gamma : 1.0;
  return rate;
}

}  // namespace basin
