// Step arena and state blocks.
#include "engine/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/device/memory.h"

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

class StateBlock final : public Storage {
 public:
  StateBlock(void* data, int64_t bytes) : Storage(data, bytes) {}
  ~StateBlock() override { std::free(data()); }
};

class DeviceBlock final : public Storage {
 public:
  DeviceBlock(Device device, void* data, int64_t bytes) : Storage(data, bytes), device_(device) {}
  ~DeviceBlock() override { release_memory(device_, data(), bytes()); }

 private:
  Device device_;
};

// Slabs of a GPU: few, so that a step has large pieces.
constexpr int64_t kSlabBytes = int64_t{256} << 20;

}  // namespace

class StepArena::Block final : public Storage {
 public:
  Block(StepArena* arena, int64_t offset, int64_t bytes, int64_t asked)
      : Storage(arena->address(offset), asked), arena_(arena), offset_(offset), held_(bytes) {}
  ~Block() override { arena_->release(offset_, held_); }

 private:
  StepArena* arena_;
  int64_t offset_, held_;
};

StepArena::StepArena(int64_t limit_bytes, Device device)
    : device_(device),
      limit_(round_up(limit_bytes > 0 ? limit_bytes : memory_bytes(Device::kCpu))) {
  if (device == Device::kCuda) {
    if (limit_bytes == 0) limit_ = std::numeric_limits<int64_t>::max() / 2;
  } else {
    add_slab(limit_);
  }
}

StepArena::~StepArena() {
  for (const Slab& slab : slabs_) {
    unpoison(slab.offset, std::min(slab.bytes, std::max<int64_t>(peak_ - slab.offset, 0)));
    release_memory(device_, slab.memory, slab.bytes);
  }
}

StepArena::StepArena(StepArena&& other) noexcept : device_(other.device_) {
  *this = std::move(other);
}

StepArena& StepArena::operator=(StepArena&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(limit_, other.limit_);
  std::swap(reserved_, other.reserved_);
  std::swap(live_, other.live_);
  std::swap(peak_, other.peak_);
  std::swap(growths_, other.growths_);
  slabs_.swap(other.slabs_);
  free_.swap(other.free_);
  return *this;
}

void StepArena::add_slab(int64_t bytes) {
  const int64_t offset =
      slabs_.empty() ? 0 : slabs_.back().offset + slabs_.back().bytes + kAlignment;
  slabs_.push_back({static_cast<std::byte*>(allocate_memory(device_, bytes)), offset, bytes});
  free_[offset] = bytes;
  reserved_ += bytes;
}

std::byte* StepArena::address(int64_t offset) const {
  auto slab = slabs_.end() - 1;
  while (slab->offset > offset) --slab;
  return slab->memory + (offset - slab->offset);
}

void StepArena::poison([[maybe_unused]] int64_t offset, [[maybe_unused]] int64_t bytes) const {
  if (device_ != Device::kCuda) BASIN_POISON(address(offset), static_cast<size_t>(bytes));
}

void StepArena::unpoison([[maybe_unused]] int64_t offset, [[maybe_unused]] int64_t bytes) const {
  if (device_ != Device::kCuda) BASIN_UNPOISON(address(offset), static_cast<size_t>(bytes));
}

void StepArena::begin_replay() const {
  if (peak_ > 0) unpoison(0, peak_);
}

void StepArena::end_replay() const {
  for (const auto& [offset, bytes] : free_) {
    if (offset < peak_) poison(offset, std::min(bytes, peak_ - offset));
  }
}

std::shared_ptr<Storage> StepArena::allocate(int64_t bytes) {
  BASIN_CHECK(bytes >= 0, "cannot allocate ", bytes, " bytes");
  // Under ASan a gap after each block stays poisoned, so that running over its end is seen.
#if defined(__SANITIZE_ADDRESS__)
  const int64_t held = round_up(std::max<int64_t>(bytes, 1)) + kAlignment;
#else
  const int64_t held = round_up(std::max<int64_t>(bytes, 1));
#endif
  auto fits = [held](const auto& piece) { return piece.second >= held; };
  auto it = std::find_if(free_.begin(), free_.end(), fits);
  if (it == free_.end() && device_ == Device::kCuda && held <= limit_ - reserved_) {
    add_slab(std::max(held, std::min(kSlabBytes, limit_ - reserved_)));
    it = std::prev(free_.end());
  }
  if (it != free_.end()) {
    const auto [offset, room] = *it;
    free_.erase(it);
    if (room > held) free_[offset + held] = room - held;
    live_ += held;
    if (offset + held > peak_) {
      // Poisoned as far as it is used: poisoning all of the reserved range would fill an eighth of
      // the machine's memory with ASan's marks.
      poison(peak_, offset + held - peak_);
      peak_ = offset + held;
      ++growths_;
    }
    unpoison(offset, bytes);
    return std::make_shared<Block>(this, offset, held, bytes);
  }
  throw Error(concat("a tensor of ", bytes, " bytes does not fit: ", live_, " of ", limit_,
                     " bytes are in use. Use a smaller --batch-size or --image-size"));
}

void StepArena::release(int64_t offset, int64_t bytes) {
  poison(offset, bytes);
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

std::shared_ptr<Storage> allocate_state(int64_t bytes, Stream& stream) {
  // Not by mmap: ASan sees accesses beyond the ends of blocks it hands out itself.
  if (stream.device() == Device::kCpu) return allocate_state(bytes);
  auto block = std::make_shared<DeviceBlock>(stream.device(),
                                             allocate_memory(stream.device(), bytes), bytes);
  stream.zero(block->data(), bytes);
  return block;
}

}  // namespace basin
