// Memory by mmap, and by CUDA; protection of the emulated device's.
#include "kernels/device/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/base/check.h"
#ifdef BASIN_CUDA
#include "kernels/device/cuda.h"
#endif

namespace basin {
namespace {

size_t mapped_bytes(int64_t bytes) {
  constexpr int64_t kPage = 4096;
  return static_cast<size_t>((std::max<int64_t>(bytes, 1) + kPage - 1) / kPage * kPage);
}

// The memory of the emulated device: one for the process, as the memory of a GPU is.
std::mutex emulated_mutex;
std::map<void*, size_t> emulated_blocks;
int emulated_accesses = 0;

// What each device holds.
std::mutex use_mutex;
MemoryUse uses[3];

void note_use(Device device, int64_t bytes) {
  const std::lock_guard lock(use_mutex);
  MemoryUse& use = uses[static_cast<size_t>(device)];
  use.now += bytes;
  use.peak = std::max(use.peak, use.now);
}

void protect(void* memory, size_t bytes, bool accessible) {
  BASIN_CHECK(mprotect(memory, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) == 0,
              "cannot protect the memory of the emulated device: ", std::strerror(errno));
}

void protect_all(bool accessible) {
  for (const auto& [memory, bytes] : emulated_blocks) protect(memory, bytes, accessible);
}

}  // namespace

void* allocate_memory(Device device, int64_t bytes) {
#ifdef BASIN_CUDA
  if (device == Device::kCuda) {
    void* memory = cuda::allocate(std::max<int64_t>(bytes, 1));
    note_use(device, bytes);
    return memory;
  }
#endif
  const size_t mapped = mapped_bytes(bytes);
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  BASIN_CHECK(memory != MAP_FAILED, "cannot reserve ", mapped,
              " bytes of addresses: ", std::strerror(errno));
  if (device == Device::kEmulated) {
    const std::lock_guard lock(emulated_mutex);
    emulated_blocks[memory] = mapped;
    if (emulated_accesses == 0) protect(memory, mapped, false);
  } else {
    madvise(memory, mapped, MADV_HUGEPAGE);
  }
  note_use(device, bytes);
  return memory;
}

void release_memory(Device device, void* memory, int64_t bytes) {
  note_use(device, -bytes);
#ifdef BASIN_CUDA
  if (device == Device::kCuda) {
    cuda::release(memory);
    return;
  }
#endif
  if (device == Device::kEmulated) {
    const std::lock_guard lock(emulated_mutex);
    emulated_blocks.erase(memory);
  }
  munmap(memory, mapped_bytes(bytes));
}

MemoryUse memory_use(Device device) {
  const std::lock_guard lock(use_mutex);
  return uses[static_cast<size_t>(device)];
}

void* allocate_pinned(Device device, int64_t bytes) {
#ifdef BASIN_CUDA
  if (device == Device::kCuda) return cuda::allocate_pinned(std::max<int64_t>(bytes, 1));
#endif
  static_cast<void>(device);
  void* memory = std::malloc(static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  BASIN_CHECK(memory, "cannot allocate ", bytes, " bytes of host memory");
  return memory;
}

void release_pinned(Device device, void* memory) {
#ifdef BASIN_CUDA
  if (device == Device::kCuda) return cuda::release_pinned(memory);
#endif
  static_cast<void>(device);
  std::free(memory);
}

int64_t memory_bytes(Device device) {
#ifdef BASIN_CUDA
  if (device == Device::kCuda) return cuda::describe().memory_bytes;
#endif
  static_cast<void>(device);
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

namespace emulated {

MemoryAccess::MemoryAccess() {
  const std::lock_guard lock(emulated_mutex);
  if (emulated_accesses++ == 0) protect_all(true);
}

MemoryAccess::~MemoryAccess() {
  const std::lock_guard lock(emulated_mutex);
  if (--emulated_accesses == 0) protect_all(false);
}

}  // namespace emulated
}  // namespace basin
