// Runs blocks of CUDA threads, one after the other, on one host thread: which thread runs, and
// which wait for what.
//
// A fiber runs threads of the block in a plain loop. Only when a thread has to wait does another
// fiber take over, with a thread that can continue or else with those not yet started. A kernel
// that never waits never switches.
#pragma once

#include <memory>
#include <vector>

#include "kernels/emulator/fault.h"
#include "kernels/emulator/fiber.h"
#include "kernels/emulator/options.h"
#include "kernels/emulator/runtime.h"
#include "kernels/emulator/shared_memory.h"

namespace basin::emulator {

constexpr int kMaxThreads = 1024;  // of a block
constexpr int kWarpSize = 32;

// A sequence of numbers from a seed, for schedules.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t next();               // 64 bits (SplitMix64)
  uint32_t below(uint32_t end);  // in [0, end), end > 0

 private:
  uint64_t state_;
};

class BlockRunner {
 public:
  // On the host thread that will run the blocks.
  BlockRunner();
  ~BlockRunner();
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  // `request` and `options` must live until the last block of the launch has run.
  void begin_launch(const LaunchRequest& request, const Options& options);
  // Runs the block `index`, number `linear` of its grid. False: fault() says why; the next block
  // can still be run.
  bool run(uint3 index, uint64_t linear);
  const Fault& fault() const { return fault_; }
  int64_t switches() const { return switches_; }  // since the runner was made

  // The runner of this host thread; null outside of kernels.
  static BlockRunner* current();

  // Called by CUDA threads; see runtime.h.
  int block_barrier(BarrierKind kind, bool predicate, Site site);
  uint64_t warp_operation(WarpOperation operation, uint32_t mask, uint64_t value, int parameter,
                          int width, Site site);
  void* shared_variable(const SharedVariable& variable);
  void* dynamic_shared(Site site);
  [[noreturn]] void failed_check(const char* condition, Site site);
  void before_atomic(const volatile void* address);
  void after_atomic(const volatile void* address);
  void fence(bool whole_device);

 private:
  enum class State : uint8_t { kUnstarted, kReady, kRunning, kAtBarrier, kAtWarp, kEnded };

  // Lanes of a warp that meet: those with the same mask at the same operation on the same line.
  struct Group {
    uint32_t mask, arrived;
    WarpOperation operation;
    Site site;
    uint64_t sync_object;  // index
    uint64_t values[kWarpSize];
    int parameters[kWarpSize], widths[kWarpSize];
  };
  struct Warp {
    uint32_t ended;        // lanes that are done or never were
    uint32_t used_groups;  // bit i: groups[i]
    Group groups[kWarpSize];
    uint8_t phases[kWarpSize];  // by mask: which of two sync objects is next
  };
  struct CudaThread {
    State state;
    Fiber* fiber;  // where it waits
    uint3 index;
    Site site;        // where it waits
    Group* group;     // at a warp operation
    uint64_t result;  // of it
    void* identity;   // for ThreadSanitizer
    bool fenced_device, fenced_block;
    int atomics;  // addresses in recent_atomics, since the last fence
    const volatile void* recent_atomics[8];
  };
  struct Barrier {
    int arrived, votes, first;
    BarrierKind kind;
    Site site;
    int phase;  // which of two sync objects is next
    int result;
  };

  static void fiber_entry();
  [[noreturn]] void serve();
  void run_thread(int number);
  void end_thread();
  void suspend();
  int next_ready();
  void resume(int number, Fiber& from);
  Fiber& take_fiber();
  void make_order();
  void push_back(int number);
  void push_front(int number);
  void complete_barrier();
  void complete(int warp, Group& group);
  uint64_t result_of(const Group& group, int lane) const;
  Place place_of(int number, const char* state) const;
  [[noreturn]] void fail(const char* rule, const char* detail, const Place& first,
                         const Place& second);
  [[noreturn]] void fail_for_deadlock();
  void clean_up_after_fault();

  const LaunchRequest* request_ = nullptr;
  const Options* options_ = nullptr;
  dim3 block_size_{0, 0, 0};
  int count_ = 0, started_ = 0, ended_ = 0, running_ = -1;
  std::unique_ptr<CudaThread[]> threads_;
  std::unique_ptr<Warp[]> warps_;
  Barrier barrier_{};
  SharedMemory shared_;
  Fault fault_;
  Dice dice_{0};

  uint16_t order_[kMaxThreads];  // in which threads start, and continue after a barrier
  uint8_t lane_order_[kWarpSize];
  uint16_t ready_[kMaxThreads];  // a ring: those that can continue
  int ready_begin_ = 0, ready_count_ = 0;

  Fiber host_;
  Fiber* running_fiber_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_fibers_;
  int64_t switches_ = 0;

  // What ThreadSanitizer orders threads by; only the addresses matter. Two of each kind alternate,
  // so that a waiting thread does not see what another does after the next barrier.
  void* host_identity_ = nullptr;
  uint64_t block_start_ = 0, block_end_ = 0;
  uint64_t barrier_objects_[2] = {};
  std::unique_ptr<uint64_t[]> warp_objects_;   // [warp][hash of the mask][phase]
  std::unique_ptr<uint64_t[]> block_atomics_;  // [hash of the address]
};

}  // namespace basin::emulator
