// The two memories of the engine: the step arena hands out the same addresses every step; the state
// arena is one fixed block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

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

// Activations, gradients and workspaces of a step. One reserved range of addresses, handed out
// first-fit in blocks of 256 bytes; the same requests in the same order get the same addresses, and
// memory is taken from the system only when a step needs more than any step before it. Freed blocks
// are poisoned under ASan. Not thread-safe; outlives its storages.
class StepArena {
 public:
  // `limit_bytes`: most the arena may ever hold; 0: the machine's physical memory.
  explicit StepArena(int64_t limit_bytes = 0);
  ~StepArena();
  StepArena(const StepArena&) = delete;
  StepArena& operator=(const StepArena&) = delete;

  // A block of at least `bytes`. Throws Error naming the request and the limit when it does not
  // fit.
  std::shared_ptr<Storage> allocate(int64_t bytes);

  int64_t live_bytes() const { return live_; }  // handed out now
  int64_t peak_bytes() const { return peak_; }  // end of the highest block ever handed out
  int64_t allocations_from_system() const { return growths_; }  // times peak_bytes() grew

 private:
  class Block;
  void release(int64_t offset, int64_t bytes);

  std::byte* base_ = nullptr;
  int64_t limit_ = 0, live_ = 0, peak_ = 0, growths_ = 0;
  std::map<int64_t, int64_t> free_;  // offset -> bytes, neighbours merged
};

// One zeroed block, 256-byte aligned, for parameters, gradients, momentum or buffers.
std::shared_ptr<Storage> allocate_state(int64_t bytes);

}  // namespace basin
