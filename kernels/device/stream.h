// The devices, and streams: where calls run, in order, who watches them, and how memory moves
// between host and device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

struct CUstream_st;  // what CUDA calls *cudaStream_t

namespace basin {

using StreamHandle = CUstream_st*;
namespace cuda {
class Libraries;
}

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

// What a stream was told between begin_capture() and end_capture(), with all its pointers and
// scalars.
class CapturedCalls {
 public:
  virtual ~CapturedCalls() = default;
};

// For the libraries on a GPU.
struct StreamOptions {
  bool allow_tf32 = false;  // products of floats with 10 bits of mantissa, on tensor cores
  std::string plan_file;    // where the convolution algorithms that were chosen are kept; empty: no
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
  bool capturing() const;
  // Queues all of it, in order.
  void replay(const CapturedCalls& calls);

  CallObserver* observer = nullptr;

  // For run() alone.
  StreamHandle cuda_handle() const;
  cuda::Libraries& libraries() const;
  // Runs on the emulated device, or records.
  void run_emulated(std::function<void()> call);

 private:
  struct Resources;
  void check_not_capturing(const char* what) const;

  Device device_;
  int64_t waits_ = 0;
  std::unique_ptr<Resources> resources_;
};

}  // namespace basin
