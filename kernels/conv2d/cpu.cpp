// Convolution on the CPU: picks the way each shape is computed, by the shape alone, never by
// timing, so that the bits are reproducible.
#include "kernels/conv2d/call.h"

#include "kernels/conv2d/direct.h"
#include "kernels/conv2d/winograd.h"
#include "kernels/device/declarations.h"

namespace basin {

template <>
int64_t Conv2dForward<double>::workspace_bytes() const {
  return 0;
}
template <>
int64_t Conv2dBackwardData<double>::workspace_bytes() const {
  return 0;
}
template <>
int64_t Conv2dBackwardWeights<double>::workspace_bytes() const {
  return 0;
}
template <>
int64_t Conv2dForward<float>::workspace_bytes() const {
  return cpu::winograd_suits(shape) ? cpu::winograd_workspace_bytes(*this)
                                    : cpu::direct_workspace_bytes(*this);
}
template <>
int64_t Conv2dBackwardData<float>::workspace_bytes() const {
  return cpu::winograd_suits(shape) ? cpu::winograd_workspace_bytes(*this)
                                    : cpu::direct_workspace_bytes(*this);
}
template <>
int64_t Conv2dBackwardWeights<float>::workspace_bytes() const {
  return cpu::winograd_suits(shape) ? cpu::winograd_workspace_bytes(*this)
                                    : cpu::direct_workspace_bytes(*this);
}

namespace cpu {

template <>
void run(const Conv2dForward<double>& call) {
  conv2d_forward_naive(call);
}
template <>
void run(const Conv2dBackwardData<double>& call) {
  conv2d_backward_data_naive(call);
}
template <>
void run(const Conv2dBackwardWeights<double>& call) {
  conv2d_backward_weights_naive(call);
}

template <>
void run(const Conv2dForward<float>& call) {
  winograd_suits(call.shape) ? run_winograd(call) : run_direct(call);
}
template <>
void run(const Conv2dBackwardData<float>& call) {
  winograd_suits(call.shape) ? run_winograd(call) : run_direct(call);
}
template <>
void run(const Conv2dBackwardWeights<float>& call) {
  winograd_suits(call.shape) ? run_winograd(call) : run_direct(call);
}

}  // namespace cpu
}  // namespace basin
