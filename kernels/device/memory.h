// Memory of the devices, in whole blocks from the system.
#pragma once

#include <cstdint>

#include "kernels/device/stream.h"

namespace basin {

// At least `bytes`, aligned to 256. On the CPU and the emulated device addresses that are backed by
// zeroed memory when they are first touched; on the GPU memory of unknown content. Throws Error.
void* allocate_memory(Device device, int64_t bytes);
// `bytes` as asked for.
void release_memory(Device device, void* memory, int64_t bytes);

// Host memory that the device copies from by itself, while the host goes on.
void* allocate_pinned(Device device, int64_t bytes);
void release_pinned(Device device, void* memory);

// Memory of the device: of a GPU its own, else that of the machine.
int64_t memory_bytes(Device device);

namespace emulated {

// Memory of the emulated device can be touched only while one of these exists: while a call or a
// copy runs. Other host code that does, as it would on a GPU, ends with a segmentation fault.
class MemoryAccess {
 public:
  MemoryAccess();
  ~MemoryAccess();
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;
};

}  // namespace emulated
}  // namespace basin
