// Step arena and state blocks.
#include "engine/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define BASIN_POISON(address, bytes) ASAN_POISON_MEMORY_REGION(address, bytes)
#define BASIN_UNPOISON(address, bytes) ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#else
#define BASIN_POISON(address, bytes) static_cast<void>(0)
#define BASIN_UNPOISON(address, bytes) static_cast<void>(0)
#endif

namespace basin {
namespace {

constexpr int64_t kAlignment = 256;

int64_t round_up(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t physical_memory() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

class StateBlock final : public Storage {
 public:
  StateBlock(void* data, int64_t bytes) : Storage(data, bytes) {}
  ~StateBlock() override { std::free(data()); }
};

}  // namespace

class StepArena::Block final : public Storage {
 public:
  Block(StepArena* arena, int64_t offset, int64_t bytes, int64_t asked)
      : Storage(arena->base_ + offset, asked), arena_(arena), offset_(offset), held_(bytes) {}
  ~Block() override { arena_->release(offset_, held_); }

 private:
  StepArena* arena_;
  int64_t offset_, held_;
};

StepArena::StepArena(int64_t limit_bytes)
    : limit_(round_up(limit_bytes > 0 ? limit_bytes : physical_memory())) {
  void* base = mmap(nullptr, static_cast<size_t>(limit_), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  BASIN_CHECK(base != MAP_FAILED, "cannot reserve ", limit_,
              " bytes of addresses for activations: ", std::strerror(errno));
  madvise(base, static_cast<size_t>(limit_), MADV_HUGEPAGE);
  base_ = static_cast<std::byte*>(base);
  free_[0] = limit_;
}

StepArena::~StepArena() {
  BASIN_UNPOISON(base_, static_cast<size_t>(peak_));
  munmap(base_, static_cast<size_t>(limit_));
}

std::shared_ptr<Storage> StepArena::allocate(int64_t bytes) {
  BASIN_CHECK(bytes >= 0, "cannot allocate ", bytes, " bytes");
  // Under ASan a gap behind each block stays poisoned, so that running over its end is seen.
#if defined(__SANITIZE_ADDRESS__)
  const int64_t held = round_up(std::max<int64_t>(bytes, 1)) + kAlignment;
#else
  const int64_t held = round_up(std::max<int64_t>(bytes, 1));
#endif
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [offset, room] = *it;
    if (room < held) continue;
    free_.erase(it);
    if (room > held) free_[offset + held] = room - held;
    live_ += held;
    if (offset + held > peak_) {
      // Poisoned as far as it is used: poisoning all of the reserved range would fill an eighth of
      // the machine's memory with ASan's marks.
      BASIN_POISON(base_ + peak_, static_cast<size_t>(offset + held - peak_));
      peak_ = offset + held;
      ++growths_;
    }
    BASIN_UNPOISON(base_ + offset, static_cast<size_t>(bytes));
    return std::make_shared<Block>(this, offset, held, bytes);
  }
  throw Error(concat("a tensor of ", bytes, " bytes does not fit: ", live_, " of ", limit_,
                     " bytes are in use. Use a smaller --batch-size or --image-size"));
}

void StepArena::release(int64_t offset, int64_t bytes) {
  BASIN_POISON(base_ + offset, static_cast<size_t>(bytes));
  live_ -= bytes;
  auto next = free_.upper_bound(offset);
  if (next != free_.end() && offset + bytes == next->first) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      previous->second += bytes;
      return;
    }
  }
  free_[offset] = bytes;
}

std::shared_ptr<Storage> allocate_state(int64_t bytes) {
  const int64_t held = round_up(std::max<int64_t>(bytes, 1));
  void* data = std::aligned_alloc(kAlignment, static_cast<size_t>(held));
  BASIN_CHECK(data, "cannot allocate ", held, " bytes for parameters");
  std::memset(data, 0, static_cast<size_t>(held));
  return std::make_shared<StateBlock>(data, bytes);
}

}  // namespace basin
