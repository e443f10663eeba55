// What cuBLASLt does on a GPU, on the emulated device: by the CPU's calls, in float. Bf16 results
// are rounded once.
#include <type_traits>
#include <vector>

#include "kernels/base/bf16.h"
#include "kernels/device/declarations.h"
#include "kernels/gemm/call.h"
#include "kernels/library/bf16_arrays.h"

namespace basin::emulated {
namespace {

template <class Output>
void multiply(const Gemm<Bf16, Output>& call) {
  std::vector<float> a(static_cast<size_t>(call.m * call.k));
  std::vector<float> b(static_cast<size_t>(call.k * call.n));
  widen(call.a, call.m * call.k, a.data());
  widen(call.b, call.k * call.n, b.data());
  const int64_t size = call.m * call.n;
  std::vector<float> unrounded;
  float* c = nullptr;
  if constexpr (std::is_same_v<Output, float>) {
    c = call.c;
  } else {
    unrounded.resize(static_cast<size_t>(size));
    if (call.accumulate) widen(call.c, size, unrounded.data());
    c = unrounded.data();
  }
  cpu::run(Gemm<float>{.transpose_a = call.transpose_a,
                       .transpose_b = call.transpose_b,
                       .m = call.m,
                       .n = call.n,
                       .k = call.k,
                       .a = a.data(),
                       .b = b.data(),
                       .c = c,
                       .accumulate = call.accumulate});
  if constexpr (!std::is_same_v<Output, float>) narrow(c, size, call.c);
}

}  // namespace

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

}  // namespace basin::emulated
