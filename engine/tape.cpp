// Recording and walking the tape.
#include "engine/tape.h"

#include "kernels/elementwise.h"
#include "kernels/run.h"

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
  output.content_->requires_gradient = true;
  nodes_.push_back({output, std::move(backward)});
  return output;
}

GradientTarget Tape::gradient_target(const Tensor& input) {
  if (!input.requires_gradient()) return {};
  Tensor::Content& content = *input.content_;
  if (content.gradient_written) return {*content.gradient, true};
  if (!content.leaf) {
    content.gradient = std::make_unique<Tensor>(empty(content.shape, content.dtype));
  }
  content.gradient_written = true;
  return {*content.gradient, false};
}

void Tape::backward(const Tensor& loss) {
  BASIN_CHECK(loss.size() == 1, "backward starts at a loss of one element, not at ",
              loss.shape().text());
  BASIN_CHECK(loss.requires_gradient(),
              "the loss depends on no parameter: nothing to differentiate");
  const GradientTarget seed = gradient_target(loss);
  dispatch(loss.dtype(), [&]<class T>() { run(Fill<T>{seed.data<T>(), T(1), 1}, stream_); });
  while (!nodes_.empty()) {
    Node node = std::move(nodes_.back());
    nodes_.pop_back();
    if (!node.output.has_gradient()) continue;  // the loss does not depend on it
    node.backward(node.output.gradient());
  }
}

}  // namespace basin
