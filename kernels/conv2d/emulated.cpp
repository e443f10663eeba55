// What cuDNN does on a GPU, on the emulated device: by the CPU's calls, in float. Bf16 results are
// rounded once.
#include "kernels/base/bf16.h"
#include "kernels/conv2d/call.h"
#include "kernels/device/declarations.h"
#include "kernels/library/bf16_arrays.h"
#include "kernels/library/workspace.h"

namespace basin {
namespace {

// A convolution's tensors, or their gradients, in float, and the workspace of the call on them: cut
// from the workspace of the call on Bf16.
struct FloatTensors {
  FloatTensors(const Conv2dShape& shape, bool with_residual, void* memory)
      : cutter(memory),
        x(cutter.floats(shape.x_size())),
        w(cutter.floats(shape.w_size())),
        y(cutter.floats(shape.y_size())),
        bias(cutter.floats(shape.out_channels)),
        residual(cutter.floats(with_residual ? shape.y_size() : 0)),
        workspace(memory ? static_cast<char*>(memory) + cutter.bytes() : nullptr) {}
  cpu::WorkspaceCutter cutter;
  float *x, *w, *y, *bias, *residual;
  void* workspace;
};

// Of the call on Bf16 whose shape is that of `call`.
template <class FloatCall>
int64_t workspace_around(const FloatCall& call, bool with_residual = false) {
  return FloatTensors(call.shape, with_residual, nullptr).cutter.bytes() + call.workspace_bytes();
}

}  // namespace

template <>
int64_t Conv2dForward<Bf16>::workspace_bytes() const {
  return workspace_around(Conv2dForward<float>{.shape = shape}, residual != nullptr);
}
template <>
int64_t Conv2dBackwardData<Bf16>::workspace_bytes() const {
  return workspace_around(Conv2dBackwardData<float>{.shape = shape});
}
template <>
int64_t Conv2dBackwardWeights<Bf16>::workspace_bytes() const {
  return workspace_around(Conv2dBackwardWeights<float>{.shape = shape});
}

namespace emulated {

template <>
void run(const Conv2dForward<float>& call) {
  cpu::run(call);
}
template <>
void run(const Conv2dForward<Bf16>& call) {
  const Conv2dShape& s = call.shape;
  const FloatTensors floats(s, call.residual != nullptr, call.workspace);
  widen(call.x, s.x_size(), floats.x);
  widen(call.w, s.w_size(), floats.w);
  if (call.bias) widen(call.bias, s.out_channels, floats.bias);
  if (call.residual) widen(call.residual, s.y_size(), floats.residual);
  cpu::run(Conv2dForward<float>{.shape = s,
                                .x = floats.x,
                                .w = floats.w,
                                .y = floats.y,
                                .workspace = floats.workspace,
                                .bias = call.bias ? floats.bias : nullptr,
                                .residual = call.residual ? floats.residual : nullptr,
                                .relu = call.relu});
  narrow(floats.y, s.y_size(), call.y);
}

template <>
void run(const Conv2dBackwardData<float>& call) {
  cpu::run(call);
}
template <>
void run(const Conv2dBackwardData<Bf16>& call) {
  const Conv2dShape& s = call.shape;
  const FloatTensors floats(s, false, call.workspace);
  widen(call.dy, s.y_size(), floats.y);
  widen(call.w, s.w_size(), floats.w);
  if (call.dx.accumulate) widen(call.dx.to, s.x_size(), floats.x);
  cpu::run(Conv2dBackwardData<float>{.shape = s,
                                     .dy = floats.y,
                                     .w = floats.w,
                                     .dx = {floats.x, call.dx.accumulate},
                                     .workspace = floats.workspace});
  narrow(floats.x, s.x_size(), call.dx.to);
}

template <>
void run(const Conv2dBackwardWeights<float>& call) {
  cpu::run(call);
}
// As by cuDNN (Route::kScratch of kernels/conv2d/cudnn_algorithms.h), the gradient of this call is
// rounded to Bf16 before it is written, or added, in float.
template <>
void run(const Conv2dBackwardWeights<Bf16>& call) {
  const Conv2dShape& s = call.shape;
  const FloatTensors floats(s, false, call.workspace);
  widen(call.x, s.x_size(), floats.x);
  widen(call.dy, s.y_size(), floats.y);
  cpu::run(Conv2dBackwardWeights<float>{
      .shape = s, .x = floats.x, .dy = floats.y, .dw = {floats.w}, .workspace = floats.workspace});
  for (int64_t i = 0; i < s.w_size(); ++i) {
    const float gradient = to_float(to_bf16(floats.w[i]));
    call.dw.to[i] = call.dw.accumulate ? call.dw.to[i] + gradient : gradient;
  }
}

}  // namespace emulated
}  // namespace basin
