// The devices whose memory is the host's: the CPU, and the emulated device.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/device/backend.h"

namespace basin {
namespace {

size_t mapped_bytes(int64_t bytes) {
  constexpr int64_t kPage = 4096;
  return static_cast<size_t>((std::max<int64_t>(bytes, 1) + kPage - 1) / kPage * kPage);
}

// Each call and copy has finished when the function returns.
class CpuQueue final : public Queue {
 public:
  void transfer(void* to, const void* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void copy(void* to, const void* from, int64_t bytes) override { transfer(to, from, bytes); }
  void zero(void* to, int64_t bytes) override { std::memset(to, 0, static_cast<size_t>(bytes)); }
  void synchronize() override {}
  void begin_capture() override { throw Error("the CPU captures no calls"); }
  std::shared_ptr<const CapturedCalls> end_capture() override { return nullptr; }
  void replay(const CapturedCalls&) override {}
};

class HostEvent final : public Event {
 public:
  void record(const Stream&) override { at_ = Clock::now(); }
  void synchronize() const override {}
  void hold(const Stream&) const override {}
  double seconds_since(const Event& begin) const override {
    const auto& first = dynamic_cast<const HostEvent&>(begin);
    return std::chrono::duration<double>(at_ - first.at_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point at_;
};

class CpuBackend : public Backend {
 public:
  std::string describe() const override { return "cpu"; }
  std::unique_ptr<Queue> make_queue() const override { return std::make_unique<CpuQueue>(); }
  std::unique_ptr<Event> make_event() const override { return std::make_unique<HostEvent>(); }
  void* allocate(int64_t bytes) const override {
    void* memory = map(bytes);
    madvise(memory, mapped_bytes(bytes), MADV_HUGEPAGE);
    return memory;
  }
  void release(void* memory, int64_t bytes) const override { munmap(memory, mapped_bytes(bytes)); }
  void* allocate_pinned(int64_t bytes) const override {
    void* memory = std::malloc(static_cast<size_t>(std::max<int64_t>(bytes, 1)));
    BASIN_CHECK(memory, "cannot allocate ", bytes, " bytes of host memory");
    return memory;
  }
  void release_pinned(void* memory) const override { std::free(memory); }
  int64_t memory_bytes() const override {
    return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  }

 protected:
  static void* map(int64_t bytes) {
    const size_t mapped = mapped_bytes(bytes);
    void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    BASIN_CHECK(memory != MAP_FAILED, "cannot reserve ", mapped,
                " bytes of addresses: ", std::strerror(errno));
    return memory;
  }
};

// The memory of the emulated device: one for the process, as the memory of a GPU is.
std::mutex emulated_mutex;
std::map<void*, size_t> emulated_blocks;
int emulated_accesses = 0;

void protect(void* memory, size_t bytes, bool accessible) {
  BASIN_CHECK(mprotect(memory, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) == 0,
              "cannot protect the memory of the emulated device: ", std::strerror(errno));
}

// Memory of the emulated device can be touched only while one of these exists: while a call or a
// copy runs. Other host code that touches it, which would fail on a GPU, ends with a segmentation
// fault.
class MemoryAccess {
 public:
  MemoryAccess() { count(1, true); }
  ~MemoryAccess() { count(-1, false); }
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;

 private:
  static void count(int change, bool accessible) {
    const std::lock_guard lock(emulated_mutex);
    const int before = std::exchange(emulated_accesses, emulated_accesses + change);
    if (before != 0 && emulated_accesses != 0) return;
    for (const auto& [memory, bytes] : emulated_blocks) protect(memory, bytes, accessible);
  }
};

class RecordedCalls final : public CapturedCalls {
 public:
  std::vector<std::function<void()>> calls;
};

class EmulatedQueue final : public Queue {
 public:
  void transfer(void* to, const void* from, int64_t bytes) override {
    const MemoryAccess access;
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void copy(void* to, const void* from, int64_t bytes) override {
    run_emulated([=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
  }
  void zero(void* to, int64_t bytes) override {
    run_emulated([=] { std::memset(to, 0, static_cast<size_t>(bytes)); });
  }
  void synchronize() override {}
  void run_emulated(std::function<void()> call) override {
    if (recording_) {
      recording_->calls.push_back(std::move(call));
      return;
    }
    const MemoryAccess access;
    call();
  }
  void begin_capture() override { recording_ = std::make_shared<RecordedCalls>(); }
  std::shared_ptr<const CapturedCalls> end_capture() override {
    return std::exchange(recording_, nullptr);
  }
  void replay(const CapturedCalls& calls) override {
    for (const auto& call : dynamic_cast<const RecordedCalls&>(calls).calls) run_emulated(call);
  }

 private:
  std::shared_ptr<RecordedCalls> recording_;
};

class EmulatedBackend final : public CpuBackend {
 public:
  std::string describe() const override {
    return "emulated, CUDA kernels on the CPU: for tests, slow";
  }
  std::unique_ptr<Queue> make_queue() const override { return std::make_unique<EmulatedQueue>(); }
  void* allocate(int64_t bytes) const override {
    void* memory = map(bytes);
    const std::lock_guard lock(emulated_mutex);
    emulated_blocks[memory] = mapped_bytes(bytes);
    if (emulated_accesses == 0) protect(memory, mapped_bytes(bytes), false);
    return memory;
  }
  void release(void* memory, int64_t bytes) const override {
    {
      const std::lock_guard lock(emulated_mutex);
      emulated_blocks.erase(memory);
    }
    CpuBackend::release(memory, bytes);
  }
};

}  // namespace

const Backend& cpu_backend() {
  static const CpuBackend backend;
  return backend;
}

const Backend& emulated_backend() {
  static const EmulatedBackend backend;
  return backend;
}

}  // namespace basin
