// Convolution in float on the CPU: picks the way each shape is computed, by the shape alone, never
// by timing, so that the bits are reproducible.
#include "kernels/conv2d/call.h"

#include "kernels/conv2d/direct.h"
#include "kernels/conv2d/winograd.h"
#include "kernels/device/declarations.h"

namespace basin {
namespace cpu {
namespace {

template <class Call>
void compute(const Call& call) {
  winograd_suits(call.shape) ? run_winograd(call) : run_direct(call);
}

template <class Call>
int64_t workspace_of(const Call& call) {
  return winograd_suits(call.shape) ? winograd_workspace_bytes(call) : direct_workspace_bytes(call);
}

}  // namespace

BASIN_CPU_RUN(Conv2dForward<float>)
BASIN_CPU_RUN(Conv2dBackwardData<float>)
BASIN_CPU_RUN(Conv2dBackwardWeights<float>)

}  // namespace cpu

template <>
int64_t Conv2dForward<float>::workspace_bytes() const {
  return cpu::workspace_of(*this);
}
template <>
int64_t Conv2dBackwardData<float>::workspace_bytes() const {
  return cpu::workspace_of(*this);
}
template <>
int64_t Conv2dBackwardWeights<float>::workspace_bytes() const {
  return cpu::workspace_of(*this);
}

}  // namespace basin
