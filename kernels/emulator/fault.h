// What went wrong in a kernel, as the emulator keeps it until it can be reported.
#pragma once

#include <string>

#include "kernels/emulator/runtime.h"

namespace basin::emulator {

// One place in a fault: a CUDA thread and the line it is at.
struct Place {
  int thread = -1;  // in its block; -1: no place
  Site site{nullptr, 0};
  const char* state = "";  // "waits", "has ended", ...
  bool warp_operation = false;
  uint32_t mask = 0;  // of the warp operation
};

// Plain data, because it is filled in by a CUDA thread, which may not allocate memory.
struct Fault {
  const char* rule = nullptr;    // what was broken, and the remedy; null: no fault
  const char* detail = nullptr;  // a name or condition; may be null
  Place first, second;
  uint3 block{};  // index in the grid
};

// The message of `fault` in a launch of blocks of `block_size` threads at `launch`.
std::string describe(const Fault& fault, dim3 block_size, Site launch);

// "folder/file.cu:12"
std::string describe(Site site);

}  // namespace basin::emulator
