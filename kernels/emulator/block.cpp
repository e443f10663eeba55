// This file is never instrumented. Code that runs as a CUDA thread allocates no memory and calls no
// memset, memcpy or the like: ThreadSanitizer would attribute it to the kernel.
#include "kernels/emulator/block.h"

#include <cstring>

#include "kernels/emulator/sanitizers.h"

constinit thread_local uint3 threadIdx{};
constinit thread_local uint3 blockIdx{};
constinit thread_local dim3 blockDim{};
constinit thread_local dim3 gridDim{};

namespace basin::emulator {
namespace {

constexpr size_t kBlockAtomics = 1024;

thread_local BlockRunner* current_runner = nullptr;

bool same(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

size_t hash(uint64_t value, size_t buckets) {
  return static_cast<size_t>((value * 0x9E3779B97F4A7C15u) >> 32) % buckets;
}

}  // namespace

uint64_t Dice::next() {
  state_ += 0x9E3779B97F4A7C15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint32_t Dice::below(uint32_t end) {
  return static_cast<uint32_t>((next() >> 32) * end >> 32);
}

BlockRunner* BlockRunner::current() {
  return current_runner;
}

BlockRunner::BlockRunner()
    : threads_(new CudaThread[kMaxThreads]()),
      warps_(new Warp[kMaxThreads / kWarpSize]()),
      host_identity_(current_identity()),
      warp_objects_(new uint64_t[kMaxThreads * 2]()),
      block_atomics_(new uint64_t[kBlockAtomics]()) {
  fibers_.reserve(kMaxThreads);
  free_fibers_.reserve(kMaxThreads);
  current_runner = this;
}

BlockRunner::~BlockRunner() {
  for (int i = 0; i < kMaxThreads; ++i) {
    if (threads_[i].identity) delete_identity(threads_[i].identity);
  }
  current_runner = nullptr;
}

void BlockRunner::begin_launch(const LaunchRequest& request, const Options& options) {
  request_ = &request;
  options_ = &options;
  block_size_ = request.block;
  count_ = static_cast<int>(block_size_.x * block_size_.y * block_size_.z);
  while (static_cast<int>(fibers_.size()) < count_) {
    fibers_.push_back(std::make_unique<Fiber>(fiber_entry));
    free_fibers_.push_back(fibers_.back().get());
  }
  int number = 0;
  for (unsigned z = 0; z < block_size_.z; ++z) {
    for (unsigned y = 0; y < block_size_.y; ++y) {
      for (unsigned x = 0; x < block_size_.x; ++x, ++number) {
        threads_[number].index = {x, y, z};
        if (!threads_[number].identity) threads_[number].identity = new_identity();
      }
    }
  }
}

// Whose turn it is.

void BlockRunner::make_order() {
  const int warps = (count_ + kWarpSize - 1) / kWarpSize;
  for (int lane = 0; lane < kWarpSize; ++lane) lane_order_[lane] = static_cast<uint8_t>(lane);
  int warp_order[kMaxThreads / kWarpSize];
  for (int warp = 0; warp < warps; ++warp) warp_order[warp] = warp;
  switch (options_->order) {
    case Order::kLinear:
    case Order::kRandom:  // the draw is made when a thread is taken
      break;
    case Order::kReverse:
      for (int lane = 0; lane < kWarpSize; ++lane) {
        lane_order_[lane] = static_cast<uint8_t>(kWarpSize - 1 - lane);
      }
      [[fallthrough]];
    case Order::kWarpsReversed:
      for (int warp = 0; warp < warps; ++warp) warp_order[warp] = warps - 1 - warp;
      break;
    case Order::kGreedyWarps:
      for (uint32_t i = kWarpSize - 1; i > 0; --i) {
        std::swap(lane_order_[i], lane_order_[dice_.below(i + 1)]);
      }
      for (auto i = static_cast<uint32_t>(warps - 1); i > 0; --i) {
        std::swap(warp_order[i], warp_order[dice_.below(i + 1)]);
      }
      break;
  }
  int at = 0;
  for (int i = 0; i < warps; ++i) {
    for (int lane = 0; lane < kWarpSize; ++lane) {
      const int number = warp_order[i] * kWarpSize + lane_order_[lane];
      if (number < count_) order_[at++] = static_cast<uint16_t>(number);
    }
  }
  if (options_->order == Order::kRandom) {
    for (auto i = static_cast<uint32_t>(count_ - 1); i > 0; --i) {
      std::swap(order_[i], order_[dice_.below(i + 1)]);
    }
  }
}

void BlockRunner::push_back(int number) {
  threads_[number].state = State::kReady;
  ready_[(ready_begin_ + ready_count_++) % kMaxThreads] = static_cast<uint16_t>(number);
}

void BlockRunner::push_front(int number) {
  threads_[number].state = State::kReady;
  ready_begin_ = (ready_begin_ + kMaxThreads - 1) % kMaxThreads;
  ready_[ready_begin_] = static_cast<uint16_t>(number);
  ++ready_count_;
}

// The thread to continue; -1: start one, or none can continue.
int BlockRunner::next_ready() {
  if (ready_count_ == 0) return -1;
  if (options_->order == Order::kRandom) {
    if (started_ < count_ && dice_.below(2) == 0) return -1;
    const auto pick = static_cast<int>(dice_.below(static_cast<uint32_t>(ready_count_)));
    std::swap(ready_[ready_begin_], ready_[(ready_begin_ + pick) % kMaxThreads]);
  }
  const int number = ready_[ready_begin_];
  ready_begin_ = (ready_begin_ + 1) % kMaxThreads;
  --ready_count_;
  return number;
}

// A fiber for the threads that have not started. ThreadSanitizer must not see unordered threads
// write to one stack, so under it each number has its own fiber.
Fiber& BlockRunner::take_fiber() {
  if (kThreadSanitizer) return *fibers_[order_[started_]];
  Fiber* fiber = free_fibers_.back();
  free_fibers_.pop_back();
  return *fiber;
}

// Switches from the fiber `from` to the one on which the thread waits.
void BlockRunner::resume(int number, Fiber& from) {
  CudaThread& thread = threads_[number];
  running_ = number;
  thread.state = State::kRunning;
  threadIdx = thread.index;
  running_fiber_ = thread.fiber;
  ++switches_;
  become(thread.identity);
  from.switch_to(*thread.fiber);
}

// Lets the running thread wait; returns when it is its turn again.
void BlockRunner::suspend() {
  const int self = running_;
  Fiber& from = *running_fiber_;
  threads_[self].fiber = &from;
  const int next = next_ready();
  if (next == self) {
    threads_[self].state = State::kRunning;
  } else if (next >= 0) {
    resume(next, from);
  } else if (started_ < count_) {
    running_fiber_ = &take_fiber();
    ++switches_;
    from.switch_to(*running_fiber_);
  } else {
    fail_for_deadlock();
  }
}

void BlockRunner::fiber_entry() {
  Fiber::arrived();
  current_runner->serve();
}

// What a fiber does: it runs threads that have not started, until another can continue.
void BlockRunner::serve() {
  while (true) {
    const int next = next_ready();
    Fiber& self = *running_fiber_;
    if (next >= 0) {
      if (!kThreadSanitizer) free_fibers_.push_back(&self);
      resume(next, self);
    } else if (started_ < count_ && kThreadSanitizer && &self != &take_fiber()) {
      running_fiber_ = &take_fiber();
      ++switches_;
      self.switch_to(*running_fiber_);
    } else if (started_ < count_) {
      run_thread(order_[started_++]);
    } else if (ended_ == count_) {
      if (!kThreadSanitizer) free_fibers_.push_back(&self);
      become(host_identity_);
      self.switch_to(host_);
    } else {
      fail_for_deadlock();
    }
  }
}

void BlockRunner::run_thread(int number) {
  CudaThread& thread = threads_[number];
  running_ = number;
  thread.state = State::kRunning;
  thread.fenced_device = thread.fenced_block = false;
  thread.atomics = 0;
  threadIdx = thread.index;
  become(thread.identity);
  acquire(&block_start_);
  request_->invoke(request_->arguments);
  release(&block_end_);
  end_thread();
}

void BlockRunner::end_thread() {
  CudaThread& thread = threads_[running_];
  thread.state = State::kEnded;
  ++ended_;
  if (barrier_.arrived > 0) {
    if (!options_->ended_threads_may_miss_barriers) {
      Place ended;
      ended.thread = running_;
      ended.state = "has ended";
      fail(
          "a thread ends while others wait for it at a barrier; let all threads of the block come "
          "to every __syncthreads",
          nullptr, place_of(barrier_.first, "waits"), ended);
    }
    if (barrier_.arrived == count_ - ended_) complete_barrier();
  }
  const int number = running_ / kWarpSize;
  Warp& warp = warps_[number];
  warp.ended |= 1u << running_ % kWarpSize;
  // Operations that waited for this lane now wait only for the others.
  for (uint32_t groups = warp.used_groups; groups != 0; groups &= groups - 1) {
    Group& group = warp.groups[__builtin_ctz(groups)];
    if (group.arrived == (group.mask & ~warp.ended)) complete(number, group);
  }
}

bool BlockRunner::run(uint3 index, uint64_t linear) {
  blockIdx = index;
  blockDim = block_size_;
  gridDim = request_->grid;
  started_ = ended_ = 0;
  ready_begin_ = ready_count_ = 0;
  barrier_ = {};
  dice_ = Dice(options_->seed * 0xD1342543DE82EF95u + linear);
  make_order();
  for (int i = 0; i < count_; ++i) threads_[i].state = State::kUnstarted;
  for (int first = 0; first < count_; first += kWarpSize) {
    Warp& warp = warps_[first / kWarpSize];
    const int lanes = count_ - first;
    warp.ended = lanes >= kWarpSize ? 0 : ~0u << lanes;
    warp.used_groups = 0;
    for (uint8_t& phase : warp.phases) phase = 0;
  }
  shared_.begin_block(request_->shared_bytes);
  fault_ = {};
  fault_.block = index;

  release(&block_start_);
  running_fiber_ = &take_fiber();
  ++switches_;
  host_.switch_to(*running_fiber_);
  if (fault_.rule) clean_up_after_fault();
  acquire(&block_end_);
  if (fault_.rule) return false;
  if (const char* name = shared_.overrun()) {
    fault_.rule = "something was written past the end of a variable in shared memory";
    fault_.detail = name;
    return false;
  }
  return true;
}

// Meetings.

int BlockRunner::block_barrier(BarrierKind kind, bool predicate, Site site) {
  CudaThread& self = threads_[running_];
  self.site = site;
  self.state = State::kAtBarrier;
  if (ended_ > 0 && !options_->ended_threads_may_miss_barriers) {
    Place ended;
    for (int i = 0; i < count_; ++i) {
      if (threads_[i].state == State::kEnded) ended.thread = i;
    }
    ended.state = "has ended";
    fail(
        "a barrier waits for a thread that has ended; let all threads of the block come to every "
        "__syncthreads",
        nullptr, place_of(running_, "waits"), ended);
  }
  if (barrier_.arrived == 0) {
    barrier_.site = site;
    barrier_.kind = kind;
    barrier_.first = running_;
    barrier_.votes = 0;
  } else if (!same(site, barrier_.site) || kind != barrier_.kind) {
    fail("threads of one block wait at different barriers; put the barrier where all of them come",
         nullptr, place_of(barrier_.first, "waits"), place_of(running_, "waits"));
  }
  ++barrier_.arrived;
  barrier_.votes += predicate;
  uint64_t* object = &barrier_objects_[barrier_.phase];
  release(object);
  if (barrier_.arrived == count_ - ended_) complete_barrier();
  suspend();
  acquire(object);
  return barrier_.result;
}

void BlockRunner::complete_barrier() {
  switch (barrier_.kind) {
    case BarrierKind::kSync:
      break;
    case BarrierKind::kCount:
      barrier_.result = barrier_.votes;
      break;
    case BarrierKind::kAnd:
      barrier_.result = barrier_.votes == barrier_.arrived;
      break;
    case BarrierKind::kOr:
      barrier_.result = barrier_.votes > 0;
      break;
  }
  barrier_.arrived = 0;
  barrier_.phase ^= 1;
  if (options_->order == Order::kGreedyWarps) make_order();
  for (int i = 0; i < count_; ++i) {
    if (threads_[order_[i]].state == State::kAtBarrier) push_back(order_[i]);
  }
}

uint64_t BlockRunner::warp_operation(WarpOperation operation, uint32_t mask, uint64_t value,
                                     int parameter, int width, Site site) {
  const int lane = running_ % kWarpSize, number = running_ / kWarpSize;
  Warp& warp = warps_[number];
  CudaThread& self = threads_[running_];
  self.site = site;
  if ((mask >> lane & 1) == 0) {
    Place place = place_of(running_, "is");
    place.warp_operation = true;
    place.mask = mask;
    fail("a lane is not in its own mask", nullptr, place, {});
  }
  if (width < 1 || width > kWarpSize || (width & (width - 1)) != 0) {
    fail("the width of a shuffle must be 1, 2, 4, 8, 16 or 32", nullptr, place_of(running_, "is"),
         {});
  }
  Group* group = nullptr;
  for (uint32_t groups = warp.used_groups; groups != 0 && !group; groups &= groups - 1) {
    Group& used = warp.groups[__builtin_ctz(groups)];
    if (used.mask == mask && used.operation == operation && same(used.site, site)) group = &used;
  }
  if (!group) {
    const int unused = __builtin_ctz(~warp.used_groups);  // a lane waits in at most one of 32
    warp.used_groups |= 1u << unused;
    group = &warp.groups[unused];
    group->mask = mask;
    group->arrived = 0;
    group->operation = operation;
    group->site = site;
    const size_t bucket = hash(mask, kWarpSize);
    group->sync_object =
        (static_cast<size_t>(number) * kWarpSize + bucket) * 2 + warp.phases[bucket];
    if (operation == WarpOperation::kSync) warp.phases[bucket] ^= 1;
  }
  group->arrived |= 1u << lane;
  group->values[lane] = value;
  group->parameters[lane] = parameter;
  group->widths[lane] = width;
  self.group = group;
  self.state = State::kAtWarp;
  // Only __syncwarp orders memory; shuffles and votes do not.
  uint64_t* object =
      operation == WarpOperation::kSync ? &warp_objects_[group->sync_object] : nullptr;
  if (object) release(object);
  if (group->arrived == (mask & ~warp.ended)) complete(number, *group);
  suspend();
  if (object) acquire(object);
  return self.result;
}

void BlockRunner::complete(int warp_number, Group& group) {
  Warp& warp = warps_[warp_number];
  warp.used_groups &= ~(1u << (&group - warp.groups));
  const bool to_front = options_->order == Order::kGreedyWarps;
  for (int i = 0; i < kWarpSize; ++i) {
    const int lane = lane_order_[to_front ? kWarpSize - 1 - i : i];
    if ((group.arrived >> lane & 1) == 0) continue;
    const int number = warp_number * kWarpSize + lane;
    threads_[number].result = result_of(group, lane);
    to_front ? push_front(number) : push_back(number);
  }
}

// Shuffles as the PTX manual defines shfl.sync, and its clamp and segment masks as CUDA's built-in
// functions set them.
uint64_t BlockRunner::result_of(const Group& group, int lane) const {
  uint32_t votes = 0;
  switch (group.operation) {
    case WarpOperation::kSync:
      return 0;
    case WarpOperation::kBallot:
    case WarpOperation::kAny:
    case WarpOperation::kAll:
      for (int i = 0; i < kWarpSize; ++i) {
        if (group.arrived >> i & 1) votes |= static_cast<uint32_t>(group.values[i]) << i;
      }
      if (group.operation == WarpOperation::kBallot) return votes;
      return group.operation == WarpOperation::kAny ? votes != 0 : votes == group.arrived;
    default:
      break;
  }
  const int parameter = group.parameters[lane] & (kWarpSize - 1), width = group.widths[lane];
  const int first = lane & ~(width - 1), last = first + width - 1;
  int source = lane;
  switch (group.operation) {
    case WarpOperation::kShuffle:
      source = first + (parameter & (width - 1));
      break;
    case WarpOperation::kShuffleUp:
      if (lane - parameter >= first) source = lane - parameter;
      break;
    case WarpOperation::kShuffleDown:
      if (lane + parameter <= last) source = lane + parameter;
      break;
    default:
      if ((lane ^ parameter) <= last) source = lane ^ parameter;
      break;
  }
  return group.arrived >> source & 1 ? group.values[source] : ~uint64_t{0};
}

// Shared memory.

void* BlockRunner::shared_variable(const SharedVariable& variable) {
  const char* why;
  void* address = shared_.variable(variable, &why);
  if (!address) {
    threads_[running_].site = variable.site;
    fail(why, variable.name, place_of(running_, "is"), {});
  }
  return address;
}

void* BlockRunner::dynamic_shared(Site site) {
  void* address = shared_.dynamic();
  if (!address) {
    threads_[running_].site = site;
    fail("a kernel uses dynamic shared memory that its launch did not ask for", nullptr,
         place_of(running_, "is"), {});
  }
  return address;
}

// Memory order, for ThreadSanitizer. In the model of C++ and PTX, an atomic write after a fence
// publishes what came before the fence, and a fence after an atomic read acquires what that read
// found. __threadfence_block does so among the threads of a block; its objects belong to the
// runner, so that they do not order blocks of other workers.

void BlockRunner::before_atomic(const volatile void* address) {
  CudaThread& self = threads_[running_];
  if (self.fenced_device) release(address);
  if (self.fenced_block) {
    release(&block_atomics_[hash(reinterpret_cast<uintptr_t>(address), kBlockAtomics)]);
  }
}

void BlockRunner::after_atomic(const volatile void* address) {
  CudaThread& self = threads_[running_];
  self.recent_atomics[self.atomics++ % 8] = address;
}

void BlockRunner::fence(bool whole_device) {
  CudaThread& self = threads_[running_];
  for (int i = 0; i < 8 && i < self.atomics; ++i) {
    const volatile void* address = self.recent_atomics[i];
    if (whole_device) acquire(address);
    acquire(&block_atomics_[hash(reinterpret_cast<uintptr_t>(address), kBlockAtomics)]);
  }
  self.atomics = 0;
  self.fenced_block = true;
  if (whole_device) self.fenced_device = true;
}

// Faults.

Place BlockRunner::place_of(int number, const char* state) const {
  const CudaThread& thread = threads_[number];
  Place place;
  place.thread = number;
  place.site = thread.site;
  place.state = state;
  if (thread.state == State::kAtWarp) {
    place.warp_operation = true;
    place.mask = thread.group->mask;
  }
  return place;
}

void BlockRunner::fail(const char* rule, const char* detail, const Place& first,
                       const Place& second) {
  fault_.rule = rule;
  fault_.detail = detail;
  fault_.first = first;
  fault_.second = second;
  become(host_identity_);
  running_fiber_->abandon_for(host_);
  __builtin_unreachable();
}

void BlockRunner::failed_check(const char* condition, Site site) {
  threads_[running_].site = site;
  fail("a check in the kernel failed", condition, place_of(running_, "is"), {});
}

// No thread can continue. A barrier that all threads have reached is complete, so a warp operation
// waits for a lane that is somewhere else.
void BlockRunner::fail_for_deadlock() {
  for (int i = 0; i < count_; ++i) {
    if (threads_[i].state != State::kAtWarp) continue;
    const Group& group = *threads_[i].group;
    const uint32_t missing = group.mask & ~warps_[i / kWarpSize].ended & ~group.arrived;
    const int other = i / kWarpSize * kWarpSize + __builtin_ctz(missing);
    const char* rule =
        "lanes that one mask names wait at different operations; let all of them come to the same "
        "one, or name only those that do";
    if (threads_[other].state == State::kAtBarrier) {
      rule = "a warp operation waits for a lane that waits at a barrier of the block";
    } else if (same(threads_[other].site, threads_[i].site)) {
      rule = "lanes come to one warp operation with different masks";
    }
    fail(rule, nullptr, place_of(i, "waits"), place_of(other, "waits"));
  }
  fail("threads wait for each other", nullptr, place_of(running_, "waits"), {});
}

// The waiting threads never continue: their stacks are reset.
void BlockRunner::clean_up_after_fault() {
  free_fibers_.clear();
  for (const auto& fiber : fibers_) {
    fiber->restart();
    free_fibers_.push_back(fiber.get());
  }
  for (int i = 0; i < count_; ++i) {
    if (threads_[i].state == State::kEnded || threads_[i].state == State::kUnstarted) continue;
    if (threads_[i].identity) {
      become(threads_[i].identity);
      release(&block_end_);  // what it did comes before what the host does now
      become(host_identity_);
      delete_identity(threads_[i].identity);
      threads_[i].identity = new_identity();
    }
  }
}

}  // namespace basin::emulator
