// The recorded step: each op pushes its backward closure; backward() walks them in reverse.
#pragma once

#include <functional>
#include <vector>

#include "engine/tensor.h"
#include "kernels/base/types.h"
#include "kernels/device/stream.h"

namespace basin {

// Records ops and runs them backwards. With recording off it only allocates: evaluation.
// Creation order is topological, so backward needs no sort; each closure, and with it the tensors
// it saved, is released as soon as it has run.
class Tape {
 public:
  using Backward = std::function<void(const Tensor& gradient_of_output)>;

  Tape(Stream& stream, StepArena& arena, bool recording)
      : stream_(stream), arena_(arena), recording_(recording) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Stream& stream() { return stream_; }
  bool recording() const { return recording_; }

  // An uninitialised tensor of this step.
  Tensor empty(Shape shape, DType dtype);

  // Registers the backward of `output`, computed from `inputs`, when a gradient can flow to any of
  // them. Returns `output`, marked as requiring a gradient then.
  Tensor record(Tensor output, std::initializer_list<Tensor> inputs, Backward backward);
  // Whether an op on these inputs will be recorded: only then it needs to save anything.
  bool will_record(std::initializer_list<Tensor> inputs) const;

  // For closures: where to write the gradient of an input, and whether to add to it; null where
  // nobody wants it. A gradient is written first and added to afterwards, so a residual join needs
  // no addition of its own: whoever asks must write.
  template <class T>
  Gradient<T> gradient(const GradientSlotHandle& slot) {
    if (!slot) return {};
    const bool accumulate = claim(*slot);
    return {slot->gradient->template data<T>(), accumulate};
  }
  template <class T>
  Gradient<T> gradient(const Tensor& input) {
    return gradient<T>(input.slot());
  }

  // Gradients of the one-element tensor `loss` for everything it was computed from. Empties the
  // tape. The gradients of parameters stay in their State; those of activations stay only on
  // handles still held.
  void backward(const Tensor& loss);

 private:
  struct Node {
    GradientSlotHandle output;
    Backward backward;
  };
  // Sees to it that there is memory for the gradient; whether it has been written in this step.
  bool claim(GradientSlot& slot);

  Stream& stream_;
  StepArena& arena_;
  bool recording_;
  std::vector<Node> nodes_;
};

}  // namespace basin
