// What a call is, for tables and traces: its geometry, and what decides how many bytes it moves. It
// is taken from the members that calls have in common, so a new call has to do nothing for it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/types.h"

namespace basin {

struct CallDescription {
  enum class Geometry {
    kNone,         // sizes: nothing
    kFlat,         // elements
    kRows,         // rows, columns
    kImages,       // batch, height, width, channels
    kProduct,      // m, n, k, whether A is transposed, whether B is
    kConvolution,  // batch, height, width, in and out channels, kernel height and width, stride,
                   // padding
  };
  const char* name = "";
  Geometry geometry = Geometry::kNone;
  std::array<int64_t, 9> sizes{};
  int element_bytes = 0;  // of the call's element type; 0: it has none
  double flops = 0, bytes = 0;
  bool relu = false;
  bool residual = false;    // adds one, or makes its gradient
  bool accumulate = false;  // adds to the tensor of activations it writes, instead of writing it
  // Fixup's scalars: a scale, and how many biases; backward: those whose gradient is made. Of a
  // convolution: whether an epilogue follows.
  bool scale = false;
  int biases = 0;
  // The separate calls that would do the same, where the call fuses several: its unfused().
  std::vector<CallDescription> unfused;
};

// "16x56x56x64 3x3/2 -> 128 +accumulate": images NHWC, kernel, stride, out channels; matrices
// rows x columns; products m x n x k.
std::string geometry_text(const CallDescription& call);

namespace internal {
template <class Call>
constexpr int element_bytes(const Call&) {
  return 0;
}
template <template <class...> class Call, class T, class... Rest>
constexpr int element_bytes(const Call<T, Rest...>&) {
  return sizeof(T);
}
// Whether a call makes this gradient.
template <class T>
constexpr bool wanted(const T* to) {
  return to != nullptr;
}
template <class T>
constexpr bool wanted(const Gradient<T>& gradient) {
  return gradient.to != nullptr;
}
}  // namespace internal

template <class Call>
CallDescription describe_call(const Call& call) {
  using Geometry = CallDescription::Geometry;
  CallDescription d;
  d.name = Call::kName;
  d.element_bytes = internal::element_bytes(call);
  d.flops = call.flops();
  d.bytes = call.bytes();
  if constexpr (requires { call.shape.out_channels; }) {
    const auto& s = call.shape;
    d.geometry = Geometry::kConvolution;
    d.sizes = {s.batch,         s.height,       s.width,  s.in_channels, s.out_channels,
               s.kernel_height, s.kernel_width, s.stride, s.padding};
    if constexpr (requires { call.bias; }) d.biases = call.bias != nullptr;
  } else if constexpr (requires { call.m, call.n, call.k; }) {
    d.geometry = Geometry::kProduct;
    d.sizes = {call.m, call.n, call.k, call.transpose_a, call.transpose_b};
  } else if constexpr (requires { call.height, call.width, call.channels; }) {
    d.geometry = Geometry::kImages;
    d.sizes = {call.batch, call.height, call.width, call.channels};
  } else if constexpr (requires { call.batch, call.area, call.channels; }) {
    d.geometry = Geometry::kRows;
    d.sizes = {call.batch * call.area, call.channels};
  } else if constexpr (requires { call.rows; }) {
    d.geometry = Geometry::kRows;
    if constexpr (requires { call.channels; }) d.sizes = {call.rows, call.channels};
    if constexpr (requires { call.columns; }) d.sizes = {call.rows, call.columns};
    if constexpr (requires { call.classes; }) d.sizes = {call.rows, call.classes};
  } else if constexpr (requires { call.size; }) {
    d.geometry = Geometry::kFlat;
    d.sizes = {call.size};
  } else if constexpr (requires { call.channels; }) {
    d.geometry = Geometry::kFlat;
    d.sizes = {call.channels};
  }
  if constexpr (requires { call.relu; }) d.relu = call.relu;
  if constexpr (requires { call.residual; }) d.residual = call.residual != nullptr;
  if constexpr (requires { call.dresidual; }) d.residual = internal::wanted(call.dresidual);
  if constexpr (requires { call.accumulate; }) d.accumulate = call.accumulate;
  const auto adds_to = [&](const auto& gradient) { d.accumulate |= gradient.accumulate; };
  if constexpr (requires { call.dx.accumulate; }) adds_to(call.dx);
  if constexpr (requires { call.dresidual.accumulate; }) adds_to(call.dresidual);
  if constexpr (requires { call.dw.accumulate; }) adds_to(call.dw);
  if constexpr (requires { call.y.accumulate; }) adds_to(call.y);
  if constexpr (requires { call.c.accumulate; }) adds_to(call.c);
  if constexpr (requires { call.scale, call.shift; }) {
    d.scale = call.scale != nullptr;
    d.biases = (call.bias != nullptr) + (call.shift != nullptr);
  }
  if constexpr (requires { call.dscale, call.dshift; }) {
    d.scale = internal::wanted(call.dscale);
    d.biases = internal::wanted(call.dbias) + internal::wanted(call.dshift);
  }
  if constexpr (requires { call.unfused(); }) d.unfused = call.unfused();
  return d;
}

}  // namespace basin
