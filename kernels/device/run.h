// The only dispatch of a call to a device in the program.
#pragma once

#include <type_traits>

#include "kernels/base/bf16.h"
#include "kernels/base/check.h"
#include "kernels/device/declarations.h"
#include "kernels/device/description.h"
#include "kernels/device/stream.h"

namespace basin {
// Whether `Element` is one of the element types that a call is a template on.
template <class Call, class Element>
constexpr bool kComputesIn = false;
template <template <class...> class Call, class... Elements, class Element>
constexpr bool kComputesIn<Call<Elements...>, Element> = (std::is_same_v<Elements, Element> || ...);

// Which element types a device computes in: the CPU in float and double, the others in float and
// bfloat16.
template <class Call>
constexpr bool kOnCpu = !kComputesIn<Call, Bf16>;
template <class Call>
constexpr bool kOnDevice = !kComputesIn<Call, double>;

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
  if (stream.observer) {
    stream.observer->announce(describe_call(call));
    stream.observer->begin();
  }
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
    cuda::run(call, stream);
#endif
  }
  if (stream.observer) stream.observer->end(Call::kName, call.flops(), call.bytes());
}

// Bytes of workspace that `call` needs on the stream's device.
template <class Call>
int64_t workspace_bytes(const Call& call, [[maybe_unused]] Stream& stream) {
#ifdef BASIN_CUDA
  if (stream.device() == Device::kCuda) {
    if constexpr (kOnDevice<Call>) return cuda::workspace_bytes(call, stream);
  }
#endif
  return call.workspace_bytes();
}

}  // namespace basin
