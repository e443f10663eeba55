// Launches: CUDA's limits, the worker threads that run the blocks, and the functions of runtime.h.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/emulator/block.h"

namespace basin::emulator {
namespace {

thread_local Options current_options;

struct Job {
  const LaunchRequest* request;
  const Options* options;
  uint64_t blocks;
  uint64_t stride, offset;  // the order of the blocks
};

bool is_random(Order order) {
  return order == Order::kRandom || order == Order::kGreedyWarps;
}

// The block that comes at `turn`: every block comes once.
uint64_t block_at(const Job& job, uint64_t turn) {
  switch (job.options->order) {
    case Order::kReverse:
    case Order::kWarpsReversed:
      return job.blocks - 1 - turn;
    case Order::kRandom:
    case Order::kGreedyWarps:
      return (turn * job.stride + job.offset) % job.blocks;
    default:
      return turn;
  }
}

// Which worker runs a block. To ThreadSanitizer, blocks of one worker are ordered. A checkerboard
// puts neighbours in each direction on different workers; random schedules mix all others.
int worker_of(const Job& job, uint3 index, uint64_t linear) {
  const auto workers = static_cast<uint64_t>(job.options->workers);
  if (is_random(job.options->order)) {
    return static_cast<int>(Dice(job.options->seed + linear * 0x632BE59BD9B4E019u).next() %
                            workers);
  }
  return static_cast<int>((uint64_t{index.x} + index.y + index.z) % workers);
}

// A host thread that runs blocks. It shares its mutex with the launching thread alone: with a
// common one, ThreadSanitizer would conclude that a worker that is done came before one that
// begins.
class Worker {
 public:
  explicit Worker(int number) : number_(number), thread_([this] { serve(); }) {}
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void begin(const Job& job) {
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
    }
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !job_; });
  }

  // Of the last job, when it is done.
  Fault fault;                // rule null: none
  uint64_t faulty_block = 0;  // linear
  int64_t switches = 0;
  std::string problem;  // of the host: no memory

 private:
  void serve() {
    BlockRunner runner;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || job_; });
      if (stop_) return;
      const Job& job = *job_;
      lock.unlock();
      try {
        run(runner, job);
      } catch (const Error& error) {
        problem = error.what();
      }
      lock.lock();
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  void run(BlockRunner& runner, const Job& job) {
    fault = {};
    problem.clear();
    const int64_t switches_before = runner.switches();
    const dim3 grid = job.request->grid;
    bool begun = false;
    for (uint64_t turn = 0; turn < job.blocks; ++turn) {
      const uint64_t linear = block_at(job, turn);
      const uint3 index{static_cast<unsigned>(linear % grid.x),
                        static_cast<unsigned>(linear / grid.x % grid.y),
                        static_cast<unsigned>(linear / grid.x / grid.y)};
      if (worker_of(job, index, linear) != number_) continue;
      if (!begun) runner.begin_launch(*job.request, *job.options);
      begun = true;
      if (!runner.run(index, linear)) {
        fault = runner.fault();
        faulty_block = linear;
        break;
      }
    }
    switches = runner.switches() - switches_before;
  }

  const int number_;
  std::mutex mutex_;  // guards job_ and stop_
  std::condition_variable changed_;
  const Job* job_ = nullptr;
  bool stop_ = false;
  std::thread thread_;  // last: it uses the others
};

// All launches of the process, one at a time.
std::mutex launching;
std::vector<std::unique_ptr<Worker>> workers;
Statistics totals{};
std::set<std::string> launch_sites;

void check_limits(const LaunchRequest& request) {
  const dim3 grid = request.grid, block = request.block;
  const std::string where = "kernel launched at " + describe(request.site) + ": ";
  BASIN_CHECK(block.x > 0 && block.y > 0 && block.z > 0, where, "a block of ", block.x, "x",
              block.y, "x", block.z, " threads is empty");
  BASIN_CHECK(block.x <= kMaxThreads && block.y <= kMaxThreads && block.z <= 64 &&
                  block.x * block.y * block.z <= kMaxThreads,
              where, "a block of ", block.x, "x", block.y, "x", block.z,
              " threads; CUDA allows 1024 threads, and 64 along z");
  BASIN_CHECK(grid.x > 0 && grid.y > 0 && grid.z > 0, where, "a grid of ", grid.x, "x", grid.y, "x",
              grid.z, " blocks is empty");
  BASIN_CHECK(grid.x <= 0x7FFFFFFFu && grid.y <= 65535 && grid.z <= 65535, where, "a grid of ",
              grid.x, "x", grid.y, "x", grid.z,
              " blocks; CUDA allows 2147483647 along x, and 65535 along y and z");
  BASIN_CHECK(request.shared_bytes <= shared_memory_limit(), where, request.shared_bytes,
              " bytes of dynamic shared memory; a block has ", shared_memory_limit());
}

}  // namespace

ScopedOptions::ScopedOptions(const Options& options) : before_(current_options) {
  BASIN_CHECK(options.workers >= 1 && options.workers <= 64, "workers must be in 1..64, got ",
              options.workers);
  BASIN_CHECK(options.shared_memory >= 0 && options.shared_memory <= int64_t{SharedMemory::kLimit},
              "a block's shared memory must be in 0..", SharedMemory::kLimit, " bytes, got ",
              options.shared_memory);
  current_options = options;
}

ScopedOptions::~ScopedOptions() {
  current_options = before_;
}

Statistics statistics() {
  const std::lock_guard lock(launching);
  return totals;
}

size_t shared_memory_limit() {
  return static_cast<size_t>(current_options.shared_memory);
}

void run_launch(const LaunchRequest& request) {
  check_limits(request);
  const Options options = current_options;
  const dim3 grid = request.grid;
  Job job{&request, &options, uint64_t{grid.x} * grid.y * grid.z, 1, 0};
  if (is_random(options.order)) {
    Dice dice(options.seed);
    do {
      job.stride = dice.next() % job.blocks + 1;
    } while (std::gcd(job.stride, job.blocks) != 1);
    job.offset = dice.next() % job.blocks;
  }

  const std::lock_guard lock(launching);
  while (static_cast<int>(workers.size()) < options.workers) {
    workers.push_back(std::make_unique<Worker>(static_cast<int>(workers.size())));
  }
  const std::span busy(workers.data(), static_cast<size_t>(options.workers));
  for (const auto& worker : busy) worker->begin(job);
  for (const auto& worker : busy) worker->wait();

  const Worker* first = nullptr;  // of those that found a fault, by the block's place in the grid
  for (const auto& worker : busy) {
    BASIN_CHECK(worker->problem.empty(), worker->problem);
    totals.switches += worker->switches;
    if (worker->fault.rule && (!first || worker->faulty_block < first->faulty_block)) {
      first = worker.get();
    }
  }
  if (first) throw Error(describe(first->fault, request.block, request.site));
  ++totals.launches;
  totals.threads +=
      static_cast<int64_t>(job.blocks) * request.block.x * request.block.y * request.block.z;
  launch_sites.insert(describe(request.site));
  totals.launch_sites = static_cast<int64_t>(launch_sites.size());
}

int block_barrier(BarrierKind kind, bool predicate, Site site) {
  return BlockRunner::current()->block_barrier(kind, predicate, site);
}

uint64_t warp_operation(WarpOperation operation, uint32_t mask, uint64_t value, int parameter,
                        int width, Site site) {
  return BlockRunner::current()->warp_operation(operation, mask, value, parameter, width, site);
}

void* shared_variable(const SharedVariable& variable) {
  return BlockRunner::current()->shared_variable(variable);
}

void* dynamic_shared(Site site) {
  return BlockRunner::current()->dynamic_shared(site);
}

void failed_check(const char* condition, Site site) {
  BlockRunner::current()->failed_check(condition, site);
}

void before_atomic(const volatile void* address) {
  BlockRunner::current()->before_atomic(address);
}

void after_atomic(const volatile void* address) {
  BlockRunner::current()->after_atomic(address);
}

void fence(bool whole_device) {
  BlockRunner::current()->fence(whole_device);
}

}  // namespace basin::emulator
