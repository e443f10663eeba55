// The only dispatch of a call to a device in the program.
#pragma once

#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/check.h"
#include "kernels/on_device.h"
#include "kernels/stream.h"
#ifdef BASIN_CUDA
#include "kernels/cuda_libraries.h"
#endif

namespace basin {

// The type of a call's elements; void of a call that is no template.
template <class Call>
struct ElementOf {
  using Type = void;
};
template <template <class...> class Call, class T, class... Others>
struct ElementOf<Call<T, Others...>> {
  using Type = T;
};

// Which element types a device computes in: the CPU in float and double, the others in float and
// bfloat16.
template <class Call>
constexpr bool kOnCpu = !std::is_same_v<typename ElementOf<Call>::Type, Bf16>;
template <class Call>
constexpr bool kOnDevice = !std::is_same_v<typename ElementOf<Call>::Type, double>;

template <class Call>
[[noreturn]] void refuse(const Stream& stream) {
  throw Error(concat(Call::kName, ": the device ", name_of(stream.device()),
                     " does not compute in ",
                     kOnCpu<Call> ? "f64; use --device cpu" : "bf16; use --precision fp32"));
}

// Runs `call`, whose pointers point to memory of the stream's device, in its turn. A device that
// lacks the call is a link error; an element type that the device does not compute in an Error.
template <class Call>
void run(const Call& call, Stream& stream) {
  if (stream.observer) stream.observer->begin();
  if (stream.device() == Device::kCpu) {
    if constexpr (kOnCpu<Call>) {
      cpu::run(call);
    } else {
      refuse<Call>(stream);
    }
  } else if constexpr (!kOnDevice<Call>) {
    refuse<Call>(stream);
  } else if (stream.device() == Device::kEmulated) {
    stream.run_emulated([call] { emulated::run(call); });
  } else {
#ifdef BASIN_CUDA
    if constexpr (requires { cuda::run(call, stream.libraries()); }) {
      cuda::run(call, stream.libraries());
    } else {
      cuda::run(call, stream.cuda_handle());
    }
#endif
  }
  if (stream.observer) stream.observer->end(Call::kName, call.flops(), call.bytes());
}

// Bytes of workspace that `call` wants on the stream's device.
template <class Call>
int64_t workspace_bytes(const Call& call, [[maybe_unused]] Stream& stream) {
#ifdef BASIN_CUDA
  if (stream.device() == Device::kCuda) {
    if constexpr (kOnDevice<Call>) return cuda::workspace_bytes(call, stream.libraries());
  }
#endif
  return call.workspace_bytes();
}

}  // namespace basin
