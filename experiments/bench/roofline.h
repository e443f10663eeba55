// The roofline of a step at several levels of fusion: how long the device must take at least when
// the network's calls are cut into kernels in other ways.
#pragma once

#include <string>
#include <vector>

#include "experiments/bench/call_table.h"

namespace basin {

struct RooflineLevel {
  std::string name, meaning;
  int64_t kernels = 0;
  double flops = 0, bytes = 0;
  // The sum over kernels of the longer of FLOPs and bytes at peak: kernels one after the other.
  double floor_seconds = 0;
};

// The first level is the calls as they are. The others are closed forms of what must pass through
// memory, from the calls' geometry: T elements of a tensor of activations, a 1-bit mask where a
// ReLU's sign must be kept, convolutions as they are.
//
// Training with batch norm; passes over T, forward and backward:
//   eager       an op is a kernel: batch norm 3 and 5, ReLU 2 and 3, addition 3, joins of gradients
//               3, 8-byte indices of max pooling, SGD 11 passes over the parameters
//   fused       batch norm (+ addition) (+ ReLU) in two passes: 3 (4) and 5 (6); joins inside the
//               convolutions; SGD in one pass, with a bf16 copy of the weights when they are bf16
//   persistent  T stays on the chip between the passes: 2 (3) and 3 (4); the two batch norms of a
//               block with a projection in one kernel; the stem's together with its pooling
//   recompute   only outputs of convolutions and blocks are stored; batch norm in the convolutions
//               before and after it; both gradients of a convolution in one kernel
// Training of Fixup networks:
//   eager       each scalar, ReLU and addition a kernel, each scalar's gradient a reduction
//   fused       one kernel between convolutions, forward and backward
//   epilogue    all of it at the end of convolutions
//   shared      the same, both gradients of a convolution with one read of dy
// Evaluation:
//   eager       as above
//   folded      batch norm in the weights, the rest at the end of convolutions
//
// Levels that do not apply to the calls (no convolution) are left out.
std::vector<RooflineLevel> roofline_levels(const std::vector<TimedCall>& calls,
                                           const DevicePeaks& peaks);

}  // namespace basin
