// SGD over the chunks of a State, and schedules.
#include "engine/sgd.h"

#include <algorithm>

#include "kernels/device/run.h"

namespace basin {

double learning_rate_factor(const std::string& name) {
  const bool tenth =
      name.find("bias") != std::string::npos || name.find("scale") != std::string::npos;
  return tenth ? 0.1 : 1.0;
}

Sgd::Sgd(State& state, SgdOptions options)
    : state_(state), control_{0, options.momentum, options.weight_decay} {
  constexpr int64_t kChunk = 16384;
  std::vector<SgdChunk> chunks;
  for (const State::Entry& entry : state.entries()) {
    if (entry.buffer) continue;
    const double factor = learning_rate_factor(entry.name);
    const int64_t size = entry.shape.elements();
    for (int64_t begin = 0; begin < size; begin += kChunk) {
      chunks.push_back({entry.offset + begin, std::min(kChunk, size - begin), factor});
    }
    size_ += size;
  }
  Stream& stream = state.stream();
  chunk_count_ = static_cast<int64_t>(chunks.size());
  chunks_ = allocate_state(chunk_count_ * static_cast<int64_t>(sizeof(SgdChunk)), stream);
  stream.copy_to_device(chunks_->data(), chunks.data(), chunks_->bytes());
  control_memory_ = allocate_state(sizeof(SgdControl), stream);
  stream.copy_to_device(control_memory_->data(), &control_, sizeof(SgdControl));
}

void Sgd::set_learning_rate(double learning_rate) {
  if (learning_rate == control_.learning_rate) return;
  control_.learning_rate = learning_rate;
  state_.stream().copy_to_device(control_memory_->data(), &control_, sizeof(SgdControl));
}

void Sgd::step() {
  state_.check_gradients_written();
  dispatch_parameters(state_.value_dtype(), [&]<class T>() {
    run(SgdStep<T>{.value = static_cast<T*>(state_.flat_values()),
                   .gradient = static_cast<const T*>(state_.flat_gradients()),
                   .momentum = static_cast<T*>(state_.flat_momentum()),
                   .chunks = static_cast<const SgdChunk*>(chunks_->data()),
                   .chunk_count = chunk_count_,
                   .size = size_,
                   .control = static_cast<const SgdControl*>(control_memory_->data()),
                   .copy = state_.flat_copy()},
        state_.stream());
  });
}

double Schedule::learning_rate(int64_t epoch) const {
  double rate = base;
  for (const int64_t milestone : milestones) rate *= epoch >= milestone ? gamma : 1.0;
  return rate;
}

}  // namespace basin
