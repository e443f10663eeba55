// Convolution of any shape as products of image rows with packed weights, without im2col in memory
// (backward-weights: im2col of one piece at a time). 1x1 convolutions are plain matrix products.
#pragma once

#include "kernels/conv2d/call.h"

namespace basin::cpu {

int64_t direct_workspace_bytes(const Conv2dForward<float>&);
int64_t direct_workspace_bytes(const Conv2dBackwardData<float>&);
int64_t direct_workspace_bytes(const Conv2dBackwardWeights<float>&);
void run_direct(const Conv2dForward<float>&);
void run_direct(const Conv2dBackwardData<float>&);
void run_direct(const Conv2dBackwardWeights<float>&);

}  // namespace basin::cpu
