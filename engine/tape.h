// The recorded step: each op pushes its backward closure; backward() walks them in reverse.
#pragma once

#include <functional>
#include <vector>

#include "engine/tensor.h"
#include "kernels/base/types.h"
#include "kernels/device/stream.h"

namespace basin {

// Where an op writes the gradient of one of its inputs. Gradients are written on first use and
// accumulated after, so that a residual join needs no separate addition.
struct GradientTarget {
  Tensor tensor;            // empty: nobody wants this gradient
  bool accumulate = false;  // add to the tensor instead of writing it

  template <class T>
  T* data() const {
    return tensor.data_or_null<T>();
  }
  // The same for a call.
  template <class T>
  Gradient<T> as() const {
    return {data<T>(), accumulate};
  }
};

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

  // For closures: the place to write the gradient of `input`, and whether to add to it.
  GradientTarget gradient_target(const GradientSlotHandle& slot);
  GradientTarget gradient_target(const Tensor& input) { return gradient_target(input.slot()); }
  // The same for a call: gradient<float>(x) is where the call writes the gradient of x.
  template <class T>
  Gradient<T> gradient(const GradientSlotHandle& slot) {
    return gradient_target(slot).as<T>();
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
  Stream& stream_;
  StepArena& arena_;
  bool recording_;
  std::vector<Node> nodes_;
};

}  // namespace basin
