// Convolutions by cuDNN: the calls.
#include <cstdint>
#include <type_traits>

#include "kernels/base/bf16.h"
#include "kernels/base/check.h"
#include "kernels/conv2d/call.h"
#include "kernels/conv2d/cudnn_algorithms.h"
#include "kernels/device/declarations.h"

namespace basin::cuda {
namespace {

template <class T>
constexpr cudnnDataType_t kType = std::is_same_v<T, Bf16> ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;

// cuDNN takes all tensors as pointers to what may change; it writes the output alone.
void* tensor(const void* address) {
  return const_cast<void*>(address);
}

template <class T>
ConvolutionProblem problem_of(const Conv2dForward<T>& call) {
  return {.direction = Direction::kForward,
          .shape = call.shape,
          .type = kType<T>,
          .output_type = kType<T>,
          .bias = call.bias != nullptr,
          .residual = call.bias && call.residual,
          .relu = call.bias && call.relu};
}
template <class T>
Tensors tensors_of(const Conv2dForward<T>& call) {
  return {tensor(call.x), tensor(call.w), call.y, tensor(call.bias),
          tensor(call.bias ? call.residual : nullptr)};
}

template <class T>
ConvolutionProblem problem_of(const Conv2dBackwardData<T>& call) {
  return {.direction = Direction::kBackwardData,
          .shape = call.shape,
          .type = kType<T>,
          .output_type = kType<T>,
          .accumulate = call.dx.accumulate};
}
template <class T>
Tensors tensors_of(const Conv2dBackwardData<T>& call) {
  return {call.dx.to, tensor(call.w), tensor(call.dy), nullptr, nullptr};
}

template <class T>
ConvolutionProblem problem_of(const Conv2dBackwardWeights<T>& call) {
  return {.direction = Direction::kBackwardWeights,
          .shape = call.shape,
          .type = kType<T>,
          .output_type = kType<ParameterType<T>>,
          .accumulate = call.dw.accumulate};
}
template <class T>
Tensors tensors_of(const Conv2dBackwardWeights<T>& call) {
  return {tensor(call.x), call.dw.to, tensor(call.dy), nullptr, nullptr};
}

template <class Call>
void run_convolution(const Call& call, Stream& stream) {
  auto& convolutions = stream.context<CudnnConvolutions>();
  const ConvolutionProblem problem = problem_of(call);
  const BuiltAlgorithm& algorithm = convolutions.algorithm(problem, stream);
  const Tensors tensors = tensors_of(call);
  for (const void* each : {tensors.x, tensors.w, tensors.y, tensors.bias, tensors.residual}) {
    BASIN_CHECK(reinterpret_cast<uintptr_t>(each) % kCudnnAlignment == 0, problem.text(),
                ": a tensor is not ", kCudnnAlignment, "-byte aligned");
  }
  BASIN_CHECK(call.workspace || algorithm.workspace_bytes == 0, problem.text(), ": needs ",
              algorithm.workspace_bytes, " bytes of workspace");
  convolutions.run(problem, algorithm, tensors, call.workspace, stream);
}

template <class Call>
int64_t workspace_of(const Call& call, Stream& stream) {
  return stream.context<CudnnConvolutions>().algorithm(problem_of(call), stream).workspace_bytes;
}

}  // namespace

#define BASIN_DEFINE(...)                                            \
  template <>                                                        \
  void run(const __VA_ARGS__& call, Stream& stream) {                \
    run_convolution(call, stream);                                   \
  }                                                                  \
  template <>                                                        \
  int64_t workspace_bytes(const __VA_ARGS__& call, Stream& stream) { \
    return workspace_of(call, stream);                               \
  }
BASIN_DEFINE(Conv2dForward<float>)
BASIN_DEFINE(Conv2dForward<Bf16>)
BASIN_DEFINE(Conv2dBackwardData<float>)
BASIN_DEFINE(Conv2dBackwardData<Bf16>)
BASIN_DEFINE(Conv2dBackwardWeights<float>)
BASIN_DEFINE(Conv2dBackwardWeights<Bf16>)
#undef BASIN_DEFINE

}  // namespace basin::cuda
