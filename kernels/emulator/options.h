// How the emulator runs kernels, for tests: the order in which CUDA threads take their turns, and
// what has been run.
#pragma once

#include <cstdint>

namespace basin::emulator {

// The order in which the threads of a block, and the blocks of a grid, take turns where CUDA leaves
// it open.
enum class Order {
  kLinear,         // by index
  kReverse,        // from the last to the first
  kWarpsReversed,  // the last warp first, lanes by index
  kRandom,         // each thread that can run is equally likely to be next
  kGreedyWarps,    // warps and lanes permuted; a warp runs as long as it can
};

struct Options {
  Order order = Order::kLinear;
  uint64_t seed = 0;  // of kRandom and kGreedyWarps
  int workers = 2;    // threads of the host that run blocks, 1 to 64
  // Bytes of shared memory that a block may have: at most those of compute capability 9.0. With
  // less, kernels that depend on it take another path.
  int64_t shared_memory = 227 * 1024;
  // Since compute capability 7.0, a barrier of CUDA does not wait for threads that have ended. That
  // is nearly always an oversight, and here an error unless allowed.
  bool ended_threads_may_miss_barriers = false;
};

// Sets the options of this thread's launches while it exists; then the earlier ones return.
class ScopedOptions {
 public:
  explicit ScopedOptions(const Options& options);
  ~ScopedOptions();
  ScopedOptions(const ScopedOptions&) = delete;
  ScopedOptions& operator=(const ScopedOptions&) = delete;

 private:
  Options before_;
};

// What the process has run so far.
struct Statistics {
  int64_t launches;      // without a fault
  int64_t threads;       // CUDA threads in them
  int64_t switches;      // between fibers
  int64_t launch_sites;  // different lines with a launch(...)
};
Statistics statistics();

}  // namespace basin::emulator
