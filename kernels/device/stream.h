// The devices, and streams: where calls run, in order, who watches them, and how memory moves
// between host and device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <typeindex>

struct CUstream_st;  // what CUDA calls *cudaStream_t

namespace basin {

using StreamHandle = CUstream_st*;

class Queue;  // kernels/device/backend.h
class Stream;

enum class Device {
  kCpu,
  kCuda,
  kEmulated,  // the CUDA kernels on the host, by kernels/emulator/emulator.h: for tests, slow
};
const char* name_of(Device device);  // "cpu", "cuda", "emulated"

// The device meant by "auto", "cpu", "cuda" or "emulated"; auto is the GPU where this program has
// code for GPUs and there is one. Throws Error for another name, and where there is no such device.
Device device_named(const std::string& name);
// Of "cuda", what GPU it is, with its memory, driver and CUDA; of the others what they are.
std::string describe(Device device);

// Bytes of a device's memory that this process holds, and the most it has held; without what
// libraries take, and take for a moment to choose algorithms. On the CPU and the emulated device
// addresses that are only reserved count, too.
struct MemoryUse {
  int64_t now = 0, peak = 0;
};
MemoryUse memory_use(Device device);

struct CallDescription;  // kernels/device/description.h

// Told of every call that runs: a profile, a trace. Null in ordinary runs.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // What the next call is, before begin(): not in the time between begin() and end().
  virtual void announce(const CallDescription&) {}
  virtual void begin() = 0;
  virtual void end(const char* name, double flops, double bytes) = 0;
};

// A point in a stream, recorded as often as wanted. On the CPU and the emulated device the stream
// has come to it when record() returns.
class Event {
 public:
  virtual ~Event() = default;
  virtual void record(const Stream& stream) = 0;
  // Waits until the stream has come here.
  virtual void synchronize() const = 0;
  // What is queued on `stream` from now on runs when the stream of this event has come here.
  virtual void hold(const Stream& stream) const = 0;
  // From `begin` to here; both were recorded. Waits for this event.
  virtual double seconds_since(const Event& begin) const = 0;
};
std::unique_ptr<Event> make_event(Device device);

// The calls and copies between begin_capture() and end_capture(), with their pointers and scalars.
class CapturedCalls {
 public:
  virtual ~CapturedCalls() = default;
};

// For the libraries on a GPU.
struct StreamOptions {
  // Products of floats in TF32 (10 bits of mantissa) on tensor cores instead of in float. Without
  // effect on bf16.
  bool allow_tf32 = false;
  // Where chosen convolution algorithms are kept. Empty: nowhere, each process chooses again.
  std::string plan_file;
  // Bytes. Algorithms that need more are not considered.
  int64_t workspace_limit = int64_t{1} << 30;
};

// A queue of calls and copies on one device. On the CPU and the emulated device each has finished
// when the function returns.
class Stream {
 public:
  // Throws Error when the device cannot be used here.
  explicit Stream(Device device, const StreamOptions& options = {});
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;

  Device device() const { return device_; }

  // `bytes` from host to device memory; `from` may change afterwards.
  void copy_to_device(void* to, const void* from, int64_t bytes);
  // From device to host memory; waits until it is there.
  void copy_to_host(void* to, const void* from, int64_t bytes);
  // Inside device memory.
  void copy(void* to, const void* from, int64_t bytes);
  void zero(void* to, int64_t bytes);
  // Waits for everything queued so far.
  void synchronize();
  // How often the host has waited: calls of copy_to_host() and synchronize().
  int64_t waits() const { return waits_; }

  // Between the two, calls and copies inside device memory are recorded and not run; copies from or
  // to the host and waiting throw Error. Not on the CPU.
  void begin_capture();
  std::shared_ptr<const CapturedCalls> end_capture();
  bool capturing() const { return capturing_; }
  // Queues all of it, in order.
  void replay(const CapturedCalls& calls);

  CallObserver* observer = nullptr;

  const StreamOptions& options() const { return options_; }
  StreamHandle cuda_handle() const { return cuda_handle_; }  // null: not a GPU's
  // What a library needs on this stream, such as its handle and chosen algorithms: made as
  // Context(*this) the first time it is asked for, and destroyed before the stream.
  template <class Context>
  Context& context() {
    std::shared_ptr<void>& slot = context_slot(typeid(Context));
    if (!slot) slot = std::make_shared<Context>(*this);
    return *static_cast<Context*>(slot.get());
  }
  // For run() alone: runs on the emulated device, or records.
  void run_emulated(std::function<void()> call);

 private:
  void check_not_capturing(const char* what) const;
  std::shared_ptr<void>& context_slot(std::type_index type);

  Device device_;
  StreamOptions options_;
  int64_t waits_ = 0;
  bool capturing_ = false;
  std::unique_ptr<Queue> queue_;
  StreamHandle cuda_handle_;
};

}  // namespace basin
