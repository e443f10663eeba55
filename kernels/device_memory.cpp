// Memory by mmap, and by CUDA; protection of the emulated device's.
#include "kernels/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/check.h"
#ifdef BASIN_CUDA
#include "kernels/cuda_device.h"
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
  if (device == Device::kCuda) return cuda::allocate(std::max<int64_t>(bytes, 1));
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
  return memory;
}

void release_memory(Device device, void* memory, int64_t bytes) {
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
