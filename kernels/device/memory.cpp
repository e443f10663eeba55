// Memory of the devices, and how much of it is in use.
#include "kernels/device/memory.h"

#include <algorithm>
#include <mutex>

#include "kernels/device/backend.h"

namespace basin {
namespace {

std::mutex use_mutex;
MemoryUse uses[3];

void note_use(Device device, int64_t bytes) {
  const std::lock_guard lock(use_mutex);
  MemoryUse& use = uses[static_cast<size_t>(device)];
  use.now += bytes;
  use.peak = std::max(use.peak, use.now);
}

}  // namespace

void* allocate_memory(Device device, int64_t bytes) {
  void* memory = backend_of(device).allocate(bytes);
  note_use(device, bytes);
  return memory;
}

void release_memory(Device device, void* memory, int64_t bytes) {
  note_use(device, -bytes);
  backend_of(device).release(memory, bytes);
}

MemoryUse memory_use(Device device) {
  const std::lock_guard lock(use_mutex);
  return uses[static_cast<size_t>(device)];
}

void* allocate_pinned(Device device, int64_t bytes) {
  return backend_of(device).allocate_pinned(bytes);
}

void release_pinned(Device device, void* memory) {
  backend_of(device).release_pinned(memory);
}

int64_t memory_bytes(Device device) {
  return backend_of(device).memory_bytes();
}

}  // namespace basin
