// Recording and walking the tape.
#include "engine/tape.h"

#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"

namespace basin {

Tensor Tape::empty(Shape shape, DType dtype) {
  return Tensor(arena_.allocate(shape.elements() * size_of(dtype)), shape, dtype);
}

bool Tape::will_record(std::initializer_list<Tensor> inputs) const {
  if (!recording_) return false;
  for (const Tensor& input : inputs) {
    if (input.requires_gradient()) return true;
  }
  return false;
}

Tensor Tape::record(Tensor output, std::initializer_list<Tensor> inputs, Backward backward) {
  if (!will_record(inputs)) return output;
  output.content_->slot = std::make_shared<GradientSlot>(
      GradientSlot{output.shape(), output.dtype(), false, false, nullptr});
  nodes_.push_back({output.slot(), std::move(backward)});
  return output;
}

bool Tape::claim(GradientSlot& slot) {
  if (slot.written) return true;
  if (!slot.parameter) slot.gradient = std::make_unique<Tensor>(empty(slot.shape, slot.dtype));
  slot.written = true;
  return false;
}

void Tape::backward(const Tensor& loss) {
  BASIN_CHECK(loss.size() == 1, "backward starts at a loss of one element, not at ",
              loss.shape().text());
  BASIN_CHECK(loss.requires_gradient(),
              "the loss depends on no parameter: nothing to differentiate");
  dispatch_parameters(loss.dtype(), [&]<class T>() {
    run(Fill<T>{.y = gradient<T>(loss).to, .value = T(1), .size = 1}, stream_);
  });
  while (!nodes_.empty()) {
    Node node = std::move(nodes_.back());
    nodes_.pop_back();
    if (!node.output->written) continue;  // the loss does not depend on it
    node.backward(*node.output->gradient);
  }
}

}  // namespace basin
