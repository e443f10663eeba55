// What emulator.h calls to do the work of CUDA's built-in functions and launches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/emulator/types.h"

namespace basin::emulator {

// A line of a kernel, or of a launch.
struct Site {
  const char* file;
  int line;
  // As a default argument of a function: the line of its caller.
  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// A variable in shared memory: one object of static lifetime for each BASIN_SHARED.
struct SharedVariable {
  const char* name;
  size_t size, alignment;
  Site site;
};

enum class BarrierKind { kSync, kCount, kAnd, kOr };
enum class WarpOperation {
  kSync,
  kBallot,
  kAny,
  kAll,
  kShuffle,
  kShuffleUp,
  kShuffleDown,
  kShuffleXor
};

// These run inside a kernel. After a fault they do not return: the launch ends and throws Error.

// Waits for all threads of the block; the result of the vote for the kinds that have one.
int block_barrier(BarrierKind kind, bool predicate, Site site);

// Waits for the lanes of `mask` and exchanges `value`: for shuffles the value of another lane
// (all bits set when that lane does not take part), for votes their result. `parameter`: source
// lane, distance or lane mask; `width`: as of __shfl_sync.
uint64_t warp_operation(WarpOperation operation, uint32_t mask, uint64_t value, int parameter,
                        int width, Site site);

// Address of the variable in this block's shared memory.
void* shared_variable(const SharedVariable& variable);
void* dynamic_shared(Site site);

[[noreturn]] void failed_check(const char* condition, Site site);

// Under ThreadSanitizer only: what memory order CUDA promises. An atomic operation is relaxed; a
// fence before it makes it a release, a fence after it an acquire.
void before_atomic(const volatile void* address);
void after_atomic(const volatile void* address);
void fence(bool whole_device);

// Bytes of shared memory that a block of the next launch of this thread may have.
size_t shared_memory_limit();

// One launch: calls invoke(arguments) as each CUDA thread.
struct LaunchRequest {
  void (*invoke)(const void* arguments);
  const void* arguments;
  dim3 grid, block;
  size_t shared_bytes;
  Site site;
};

// Runs all blocks; returns when they have ended. Throws Error for faults of the kernel, and where
// the launch exceeds a limit of CUDA.
void run_launch(const LaunchRequest& request);

}  // namespace basin::emulator

// Variables of the running CUDA thread. A fiber never leaves its host thread, so these may be
// thread-local and their addresses kept across calls.
extern constinit thread_local uint3 threadIdx;
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;
constexpr int warpSize = 32;
