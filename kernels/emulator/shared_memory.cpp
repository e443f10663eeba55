// This file is never instrumented and calls no memset or the like: it writes to memory on which
// kernels may race.
#include "kernels/emulator/shared_memory.h"

#include <sys/mman.h>

#include <cstdint>

#include "kernels/base/check.h"
#include "kernels/emulator/sanitizers.h"

namespace basin::emulator {
namespace {

constexpr unsigned char kUnwritten = 0xFF;

bool intact(const char* gap, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (static_cast<unsigned char>(gap[i]) != kUnwritten) return false;
  }
  return true;
}

}  // namespace

SharedMemory::SharedMemory() {
  void* memory =
      mmap(nullptr, kCapacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  BASIN_CHECK(memory != MAP_FAILED, "no memory for the emulator's shared memory: ", kCapacity,
              " bytes");
  memory_ = static_cast<char*>(memory);
}

SharedMemory::~SharedMemory() {
  unpoison(memory_, kCapacity);
  munmap(memory_, kCapacity);
}

void SharedMemory::begin_block(size_t dynamic_bytes) {
  auto* words = reinterpret_cast<uint64_t*>(memory_);
  const size_t count = (used_ + 7) / 8;
  for (size_t i = 0; i < count; ++i) words[i] = ~uint64_t{0};
  poison(memory_, kCapacity);
  used_ = 0;
  count_ = 0;
  static_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  if (dynamic_bytes > 0) place(dynamic_bytes, kGap);
}

void* SharedMemory::place(size_t size, size_t alignment) {
  const size_t step = alignment < kGap ? kGap : alignment;
  const size_t begin = (used_ + step - 1) / step * step;
  used_ = begin + size + kGap;
  unpoison(memory_ + begin, size);
  return memory_ + begin;
}

void* SharedMemory::variable(const SharedVariable& variable, const char** why) {
  for (int i = 0; i < count_; ++i) {
    if (placed_[i].variable == &variable) return placed_[i].address;
  }
  *why = nullptr;
  if (count_ == kMaxVariables) *why = "a block uses more than 64 variables in shared memory";
  if (static_bytes_ + variable.size > kStaticLimit) {
    *why = "the variables of a block in shared memory exceed 48 KiB; take BASIN_DYNAMIC_SHARED";
  }
  if (static_bytes_ + variable.size + dynamic_bytes_ > kLimit) {
    *why = "a block uses more than 227 KiB of shared memory";
  }
  if (*why || variable.alignment > kGap) {
    if (!*why) *why = "a variable in shared memory is aligned to more than 64 bytes";
    return nullptr;
  }
  static_bytes_ += variable.size;
  placed_[count_] = {&variable, static_cast<char*>(place(variable.size, variable.alignment))};
  return placed_[count_++].address;
}

const char* SharedMemory::overrun() const {
  if (dynamic_bytes_ > 0 && !intact(memory_ + dynamic_bytes_, kGap)) return "dynamic shared memory";
  for (int i = 0; i < count_; ++i) {
    const SharedVariable& variable = *placed_[i].variable;
    if (!intact(placed_[i].address + variable.size, kGap)) return variable.name;
  }
  return nullptr;
}

}  // namespace basin::emulator
