// Cuts the workspace of a kernel into aligned buffers, and hands each thread at work a slot.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernels/base/parallel.h"

namespace basin::cpu {

// Cuts buffers from `base` one after the other; with a null base it only adds up their sizes.
class WorkspaceCutter {
 public:
  explicit WorkspaceCutter(void* base) : base_(static_cast<char*>(base)) {}
  float* floats(int64_t count) {
    char* cut = base_ ? base_ + bytes_ : nullptr;
    bytes_ += (count * int64_t{sizeof(float)} + 63) / 64 * 64;
    return reinterpret_cast<float*>(cut);
  }
  int64_t bytes() const { return bytes_; }

 private:
  char* base_;
  int64_t bytes_ = 0;
};

// Calls body(slot, index) for every index in [0, count). Calls with the same slot, a number below
// threads(), never run at the same time: a buffer for each slot serves any number of indices.
template <class Body>
void parallel_slots(int64_t count, const Body& body) {
  std::atomic<int64_t> next{0};
  parallel_for(std::min<int64_t>(threads(), count), [&](int64_t slot) {
    for (int64_t index = next++; index < count; index = next++) body(slot, index);
  });
}

}  // namespace basin::cpu
