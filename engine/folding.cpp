// The table of filters to fold, and the call on some of them.
#include "engine/folding.h"

#include "kernels/device/run.h"
#include "kernels/fold_batch_norm/call.h"

namespace basin {

Folding::Folding(const State& state, const std::vector<NormalisedConvolution>& convolutions,
                 double epsilon)
    : state_(state), epsilon_(epsilon) {
  constexpr int64_t kAlignElements = 64;
  std::vector<NormalisedFilter> table;
  for (const auto& [weight, norm] : convolutions) {
    const auto place = [&](const char* name) { return state.find(norm + name)->offset; };
    const State::Entry& entry = *state.find(weight);
    const int64_t filters = entry.shape[0], size = entry.shape.elements() / filters;
    convolutions_.push_back(
        {entry.shape, entry.offset, static_cast<int64_t>(table.size()), biases_});
    for (int64_t k = 0; k < filters; ++k) {
      table.push_back({.offset = entry.offset + k * size,
                       .size = size,
                       .norm_weight = place(".weight") + k,
                       .norm_bias = place(".bias") + k,
                       .norm_mean = place(".running_mean") + k,
                       .norm_variance = place(".running_var") + k,
                       .bias = biases_ + k});
    }
    biases_ += (filters + kAlignElements - 1) / kAlignElements * kAlignElements;
  }
  const auto bytes = static_cast<int64_t>(table.size() * sizeof(NormalisedFilter));
  filters_ = allocate_state(bytes, state.stream());
  state.stream().copy_to_device(filters_->data(), table.data(), bytes);
}

std::vector<FoldedConvolution> Folding::make(Tape& tape, size_t begin, size_t end) const {
  std::vector<FoldedConvolution> folded(convolutions_.size());
  if (begin == end) return folded;
  const int64_t first = state_.parameter_range(state_.modules()[begin]).begin;
  const int64_t last = state_.parameter_range(state_.modules()[end - 1]).end;
  const Tensor weights = tape.empty({state_.flat_size()}, state_.dtype());
  const Tensor biases = tape.empty({biases_}, state_.dtype());
  int64_t first_filter = 0, filter_count = 0, size = 0;
  for (size_t i = 0; i < folded.size(); ++i) {
    const auto& [shape, offset, filter, bias] = convolutions_[i];
    if (offset < first || offset >= last) continue;
    folded[i] = {weights.part(offset, shape), biases.part(bias, {shape[0]})};
    if (filter_count == 0) first_filter = filter;
    filter_count += shape[0];
    size += shape.elements();
  }
  if (filter_count == 0) return folded;
  const auto call = [&]<class T>() {
    run(FoldBatchNorm<T>{.parameters = static_cast<const float*>(state_.flat_values()),
                         .buffers = static_cast<const float*>(state_.flat_buffers()),
                         .epsilon = epsilon_,
                         .filters =
                             static_cast<const NormalisedFilter*>(filters_->data()) + first_filter,
                         .filter_count = filter_count,
                         .size = size,
                         .weights = weights.data<T>(),
                         .biases = biases.data<T>()},
        tape.stream());
  };
  state_.dtype() == DType::kBF16 ? call.template operator()<Bf16>()
                                 : call.template operator()<float>();
  return folded;
}

}  // namespace basin
