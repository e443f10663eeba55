// What each device implements: its memory, and queues of work. stream.h and memory.h are the same
// for all devices and call these.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <typeindex>

#include "kernels/device/stream.h"

namespace basin {

// The work of one stream, in order.
class Queue {
 public:
  virtual ~Queue() = default;
  // Copies between host and device memory. `from` may change afterwards; into host memory, the data
  // is there after synchronize().
  virtual void transfer(void* to, const void* from, int64_t bytes) = 0;
  // Inside device memory.
  virtual void copy(void* to, const void* from, int64_t bytes) = 0;
  virtual void zero(void* to, int64_t bytes) = 0;
  virtual void synchronize() = 0;
  virtual void begin_capture() = 0;
  virtual std::shared_ptr<const CapturedCalls> end_capture() = 0;
  virtual void replay(const CapturedCalls& calls) = 0;
  virtual StreamHandle cuda_handle() const { return nullptr; }
  // Runs or records a call of the emulated device.
  virtual void run_emulated(std::function<void()> call) { call(); }

  std::map<std::type_index, std::shared_ptr<void>> contexts;  // Stream::context()
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string describe() const = 0;
  virtual std::unique_ptr<Queue> make_queue() const = 0;
  virtual std::unique_ptr<Event> make_event() const = 0;
  // As in memory.h.
  virtual void* allocate(int64_t bytes) const = 0;
  virtual void release(void* memory, int64_t bytes) const = 0;
  virtual void* allocate_pinned(int64_t bytes) const = 0;
  virtual void release_pinned(void* memory) const = 0;
  virtual int64_t memory_bytes() const = 0;
};

const Backend& cpu_backend();
const Backend& emulated_backend();
const Backend& cuda_backend();  // only where BASIN_CUDA is defined
// Throws Error for a device that this program was built without.
const Backend& backend_of(Device device);

}  // namespace basin
