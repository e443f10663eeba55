// The shared memory of the blocks that one worker runs, one after the other.
#pragma once

#include <cstddef>

#include "kernels/emulator/runtime.h"

namespace basin::emulator {

// Gives the variables of a block addresses on their first use. All bits are set (NaN, -1) until
// something is written. There are gaps between variables, poisoned under AddressSanitizer.
class SharedMemory {
 public:
  static constexpr size_t kStaticLimit = 48 * 1024;  // of variables of fixed size
  static constexpr size_t kLimit = 227 * 1024;       // of all of a block, compute capability 9.0

  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Forgets the variables of the previous block.
  void begin_block(size_t dynamic_bytes);
  // Address of `variable`; null when it does not fit, and then *why says why.
  void* variable(const SharedVariable& variable, const char** why);
  // Null when the launch did not ask for any.
  void* dynamic() const { return dynamic_bytes_ > 0 ? memory_ : nullptr; }
  // The variable past whose end something was written in this block; null when there is none.
  // Without AddressSanitizer, only a write into a gap is noticed.
  const char* overrun() const;

 private:
  static constexpr size_t kGap = 64;
  static constexpr int kMaxVariables = 64;
  static constexpr size_t kCapacity = kLimit + (kMaxVariables + 1) * 3 * kGap;

  struct Placed {
    const SharedVariable* variable;
    char* address;
  };
  void* place(size_t size, size_t alignment);

  char* memory_;
  size_t used_ = kCapacity;  // bytes that may have been written
  size_t dynamic_bytes_ = 0, static_bytes_ = 0;
  Placed placed_[kMaxVariables];
  int count_ = 0;
};

}  // namespace basin::emulator
