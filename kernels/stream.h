// Where calls run, in order, and who watches them.
#pragma once

#include <string>

namespace basin {

enum class Device { kCpu };

struct CallDescription;  // kernels/call_description.h

// Told of every call that runs: a profile, a trace. Null in ordinary runs.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // What the next call is, before begin(): not in the time between begin() and end().
  virtual void announce(const CallDescription&) {}
  virtual void begin() = 0;
  virtual void end(const char* name, double flops, double bytes) = 0;
};

// A queue of calls on one device. On the CPU a call has finished when run() returns.
class Stream {
 public:
  explicit Stream(Device device) : device_(device) {}
  Device device() const { return device_; }
  CallObserver* observer = nullptr;

 private:
  Device device_;
};

}  // namespace basin
