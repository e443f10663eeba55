// What cuDNN and cuBLAS do on a GPU, on the emulated device: the CPU's calls, whose pointers here
// point to memory of the emulated device.
#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "kernels/on_device.h"

namespace basin::emulated {

template <>
void run(const Conv2dForward<float>& call) {
  cpu::run(call);
}
template <>
void run(const Conv2dBackwardData<float>& call) {
  cpu::run(call);
}
template <>
void run(const Conv2dBackwardWeights<float>& call) {
  cpu::run(call);
}
template <>
void run(const Gemm<float>& call) {
  cpu::run(call);
}

}  // namespace basin::emulated
