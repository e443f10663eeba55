// The two memories of the engine: the step arena hands out the same addresses every step; the state
// arena is one fixed block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "kernels/device/stream.h"

namespace basin {

// A block of memory, given back when the object dies. Not copyable: a copied handle would give it
// back twice.
class Storage {
 public:
  virtual ~Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 protected:
  Storage(void* data, int64_t bytes) : data_(data), bytes_(bytes) {}

 private:
  void* data_;
  int64_t bytes_;
};

// Activations, gradients and workspaces of a step. A few large slabs of device memory, handed out
// first-fit, older slabs first, in blocks of 256 bytes; the same requests in the same order get the
// same addresses, and memory is taken from the system only when a step needs more than any step
// before it: on a GPU another slab, elsewhere pages of the one slab, a reserved range of addresses.
// Freed blocks are poisoned under ASan. Not thread-safe; outlives its storages.
class StepArena {
 public:
  // `limit_bytes`: most the arena may ever hold; 0: the machine's physical memory, and as much as
  // the GPU has.
  explicit StepArena(int64_t limit_bytes = 0, Device device = Device::kCpu);
  ~StepArena();
  // Only while nothing is handed out.
  StepArena(StepArena&&) noexcept;
  StepArena& operator=(StepArena&&) noexcept;

  // A block of at least `bytes`. Throws Error naming the request and the limit when it does not
  // fit.
  std::shared_ptr<Storage> allocate(int64_t bytes);

  // Around the replay of a recorded step, whose blocks were given back when it was recorded:
  // between the two, freed blocks are not poisoned.
  void begin_replay() const;
  void end_replay() const;

  int64_t live_bytes() const { return live_; }  // handed out now
  int64_t peak_bytes() const { return peak_; }  // end of the highest block ever handed out
  int64_t allocations_from_system() const { return growths_; }  // times peak_bytes() grew

 private:
  class Block;
  struct Slab {
    std::byte* memory;
    int64_t offset, bytes;  // where it begins in the arena; after each slab there is a gap
  };
  void add_slab(int64_t bytes);
  std::byte* address(int64_t offset) const;
  void poison(int64_t offset, int64_t bytes) const;
  void unpoison(int64_t offset, int64_t bytes) const;
  void release(int64_t offset, int64_t bytes);

  Device device_;
  int64_t limit_ = 0, reserved_ = 0, live_ = 0, peak_ = 0, growths_ = 0;
  std::vector<Slab> slabs_;
  std::map<int64_t, int64_t> free_;  // offset -> bytes, neighbours merged
};

// One zeroed block of host memory, 256-byte aligned.
std::shared_ptr<Storage> allocate_state(int64_t bytes);
// The same in memory of the stream's device: for parameters, gradients, momentum, buffers.
std::shared_ptr<Storage> allocate_state(int64_t bytes, Stream& stream);

}  // namespace basin
