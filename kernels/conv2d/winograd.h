// Winograd convolution F(4x4, 3x3) for 3x3 kernels of stride 1, in all three directions: 36
// multiplications for 16 outputs instead of 144, at the price of a rounding error about five times
// that of the direct convolution.
#pragma once

#include "kernels/conv2d/call.h"

namespace basin::cpu {

// Whether the shape can be computed this way and it pays. Depends on the shape only.
bool winograd_suits(const Conv2dShape&);

// The shape must suit.
int64_t winograd_workspace_bytes(const Conv2dForward<float>&);
int64_t winograd_workspace_bytes(const Conv2dBackwardData<float>&);
int64_t winograd_workspace_bytes(const Conv2dBackwardWeights<float>&);
void run_winograd(const Conv2dForward<float>&);
void run_winograd(const Conv2dBackwardData<float>&);
void run_winograd(const Conv2dBackwardWeights<float>&);

}  // namespace basin::cpu
