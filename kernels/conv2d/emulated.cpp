// What cuDNN and cuBLAS do on a GPU, on the emulated device: the CPU's calls, whose pointers here
// point to memory of the emulated device. Bf16 is computed by them in float, and the result rounded
// once, as there.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/base/bf16.h"
#include "kernels/conv2d/call.h"
#include "kernels/device/declarations.h"
#include "kernels/gemm/call.h"
#include "kernels/library/workspace.h"

namespace basin {
namespace {

void widen(const Bf16* from, int64_t size, float* to) {
  std::transform(from, from + size, to, [](Bf16 value) { return to_float(value); });
}

void narrow(const float* from, int64_t size, Bf16* to) {
  std::transform(from, from + size, to, to_bf16);
}

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

// What the call on Bf16 needs when the one on float needs `inner` bytes.
int64_t workspace_around(const Conv2dShape& shape, bool with_residual, int64_t inner) {
  return FloatTensors(shape, with_residual, nullptr).cutter.bytes() + inner;
}

}  // namespace

template <>
int64_t Conv2dForward<Bf16>::workspace_bytes() const {
  const Conv2dForward<float> inner{shape, nullptr, nullptr, nullptr, nullptr};
  return workspace_around(shape, residual != nullptr, inner.workspace_bytes());
}
template <>
int64_t Conv2dBackwardData<Bf16>::workspace_bytes() const {
  const Conv2dBackwardData<float> inner{shape, nullptr, nullptr, nullptr, accumulate, nullptr};
  return workspace_around(shape, false, inner.workspace_bytes());
}
template <>
int64_t Conv2dBackwardWeights<Bf16>::workspace_bytes() const {
  const Conv2dBackwardWeights<float> inner{shape, nullptr, nullptr, nullptr, false, nullptr};
  return workspace_around(shape, false, inner.workspace_bytes());
}

namespace emulated {
namespace {

template <class Output>
void multiply(const Gemm<Bf16, Output>& call) {
  std::vector<float> a(static_cast<size_t>(call.m * call.k));
  std::vector<float> b(static_cast<size_t>(call.k * call.n));
  widen(call.a, call.m * call.k, a.data());
  widen(call.b, call.k * call.n, b.data());
  const int64_t size = call.m * call.n;
  std::vector<float> rounded;  // what is to be rounded to C
  float* c = nullptr;
  if constexpr (std::is_same_v<Output, float>) {
    c = call.c;
  } else {
    rounded.resize(static_cast<size_t>(size));
    if (call.accumulate) widen(call.c, size, rounded.data());
    c = rounded.data();
  }
  cpu::run(Gemm<float>{call.transpose_a, call.transpose_b, call.m, call.n, call.k, a.data(),
                       b.data(), c, call.accumulate});
  if constexpr (!std::is_same_v<Output, float>) narrow(c, size, call.c);
}

}  // namespace

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
  cpu::run(Conv2dForward<float>{s, floats.x, floats.w, floats.y, floats.workspace,
                                call.bias ? floats.bias : nullptr,
                                call.residual ? floats.residual : nullptr, call.relu});
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
  if (call.accumulate) widen(call.dx, s.x_size(), floats.x);
  cpu::run(Conv2dBackwardData<float>{s, floats.y, floats.w, floats.x, call.accumulate,
                                     floats.workspace});
  narrow(floats.x, s.x_size(), call.dx);
}

template <>
void run(const Conv2dBackwardWeights<float>& call) {
  cpu::run(call);
}
// As by cuDNN (kernels/conv2d/cudnn.cpp), the gradient of this call is rounded to Bf16 before it is
// written, or added, in float.
template <>
void run(const Conv2dBackwardWeights<Bf16>& call) {
  const Conv2dShape& s = call.shape;
  const FloatTensors floats(s, false, call.workspace);
  widen(call.x, s.x_size(), floats.x);
  widen(call.dy, s.y_size(), floats.y);
  cpu::run(Conv2dBackwardWeights<float>{s, floats.x, floats.y, floats.w, false, floats.workspace});
  for (int64_t i = 0; i < s.w_size(); ++i) {
    const float gradient = to_float(to_bf16(floats.w[i]));
    call.dw[i] = call.accumulate ? call.dw[i] + gradient : gradient;
  }
}

template <>
void run(const Gemm<float>& call) {
  cpu::run(call);
}
template <>
void run(const Gemm<Bf16>& call) {
  multiply(call);
}
template <>
void run(const Gemm<Bf16, float>& call) {
  multiply(call);
}

}  // namespace emulated
}  // namespace basin
