// How the emulator runs kernels, for tests: the order in which CUDA threads take their turns, and
// what has been run.
#pragma once

#include <cstdint>

namespace basin::emulator {

// The order in which the threads of a block, and the blocks of a grid, take their turns where CUDA
// leaves it open.
enum class Order {
  kLinear,         // by index
  kReverse,        // from the last to the first
  kWarpsReversed,  // the last warp first, lanes by index
  kRandom,         // any thread that can run is as likely to be next
  kGreedyWarps,    // warps and lanes permuted; a warp goes on for as long as it can
};

struct Options {
  Order order = Order::kLinear;
  uint64_t seed = 0;  // of kRandom and kGreedyWarps
  int workers = 2;    // threads of the host that run blocks, 1 to 64
  // Bytes of shared memory that a block may have. That of compute capability 9.0 is the most; with
  // less, kernels that choose by it take another way.
  int64_t shared_memory = 227 * 1024;
  // CUDA lets a block's barrier go without threads that have ended, since compute capability 7.0.
  // It is nearly always an oversight, and an error here unless allowed.
  bool ended_threads_may_miss_barriers = false;
};

// Options of the launches of this thread as long as it exists; the ones before it come back then.
class ScopedOptions {
 public:
  explicit ScopedOptions(const Options& options);
  ~ScopedOptions();
  ScopedOptions(const ScopedOptions&) = delete;
  ScopedOptions& operator=(const ScopedOptions&) = delete;

 private:
  Options before_;
};

// What the process has run up to now.
struct Statistics {
  int64_t launches;      // that went through
  int64_t threads;       // CUDA threads in them
  int64_t switches;      // between fibers
  int64_t launch_sites;  // different lines with a launch(...)
};
Statistics statistics();

}  // namespace basin::emulator
