// What a device reaches at best, measured: the ceilings that calls are compared with.
#pragma once

#include <cstdint>

#include "engine/arena.h"
#include "engine/tensor.h"
#include "kernels/device/stream.h"

namespace basin {

struct DevicePeaks {
  double copy_bytes_per_second = 0;     // read and written, both counted
  double product_flops_per_second = 0;  // a multiply and an add count as two
  int64_t copy_buffer_bytes = 0;        // of the buffer read, and of the one written
  int64_t product_side = 0;             // of the square matrices
};

// Copies with the Scale call between buffers of twice the last-level cache (64 MiB at least, 1 GiB
// at most), and multiplies random square matrices with the Gemm call, in `dtype`, with the threads
// set. Sizes grow from small ones on, and stop growing early where the device is too slow for more:
// then the copies may come from a cache, and the buffers' size in the result says so. The fastest
// of several runs counts. Takes its memory from `arena`; a second or two.
DevicePeaks measure_device_peaks(Stream& stream, StepArena& arena, DType dtype);

}  // namespace basin
