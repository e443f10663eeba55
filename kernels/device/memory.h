// Memory of the devices, in whole blocks from the system.
#pragma once

#include <cstdint>

#include "kernels/device/stream.h"

namespace basin {

// At least `bytes`, aligned to 256. On the CPU and the emulated device, addresses that are backed
// by zeroed memory when they are first touched; on the GPU, memory of unknown content. Throws
// Error.
void* allocate_memory(Device device, int64_t bytes);
// `bytes` as asked for.
void release_memory(Device device, void* memory, int64_t bytes);

// Host memory that the device reads and writes directly, so that copies of it do not block the
// host.
void* allocate_pinned(Device device, int64_t bytes);
void release_pinned(Device device, void* memory);

// Memory of the device: of a GPU its own, else that of the machine.
int64_t memory_bytes(Device device);

}  // namespace basin
