// The threads of the CPU kernels: one team for the process, as the cores are.
#include "kernels/base/parallel.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/base/check.h"

namespace basin {
namespace {

thread_local bool inside_loop = false;

// One loop: the indices are handed out by a counter.
struct Loop {
  int64_t count;
  void (*body)(const void*, int64_t);
  const void* context;
  std::atomic<int64_t> next{0};

  void work() {
    inside_loop = true;
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(context, i);
    inside_loop = false;
  }
};

class Team {
 public:
  explicit Team(int helpers) {
    for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this] { help(); });
  }
  ~Team() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  void run(Loop& loop) {
    std::unique_lock lock(mutex_);
    loop_ = &loop;
    epoch_.fetch_add(1);
    const bool sleepers = sleeping_ > 0;
    lock.unlock();
    if (sleepers) wake_.notify_all();
    loop.work();
    lock.lock();
    loop_ = nullptr;  // a helper that has not come yet need not come any more
    done_.wait(lock, [&] { return inside_ == 0; });
  }

  std::mutex busy;  // held by the thread whose loop runs

 private:
  void help() {
    uint64_t seen = 0;
    while (true) {
      // Loops follow each other closely: look for the next one for a few microseconds before going
      // to sleep.
      for (int spin = 0; spin < 2000 && epoch_.load(std::memory_order_relaxed) == seen; ++spin) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      }
      std::unique_lock lock(mutex_);
      ++sleeping_;
      wake_.wait(lock, [&] { return epoch_.load() != seen; });
      --sleeping_;
      seen = epoch_.load();
      if (stop_) return;
      if (!loop_) continue;
      Loop& loop = *loop_;
      ++inside_;
      lock.unlock();
      loop.work();
      lock.lock();
      if (--inside_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, done_;
  Loop* loop_ = nullptr;
  std::atomic<uint64_t> epoch_{0};  // changes when there is something new; written under the mutex
  int inside_ = 0, sleeping_ = 0;
  bool stop_ = false;
  std::vector<std::thread> helpers_;
};

int thread_count = 1;
std::unique_ptr<Team> team;

}  // namespace

void set_threads(int threads) {
  BASIN_CHECK(threads >= 1 && threads <= 4096, "threads must be in 1..4096, got ", threads);
  if (threads == thread_count) return;
  team.reset();
  if (threads > 1) team = std::make_unique<Team>(threads - 1);
  thread_count = threads;
}

int threads() {
  return thread_count;
}

void parallel_run(int64_t count, void (*body)(const void*, int64_t), const void* context) {
  if (count > 1 && team && !inside_loop) {
    const std::unique_lock lock(team->busy, std::try_to_lock);
    if (lock.owns_lock()) {
      Loop loop{count, body, context};
      team->run(loop);
      return;
    }
  }
  for (int64_t i = 0; i < count; ++i) body(context, i);
}

}  // namespace basin
