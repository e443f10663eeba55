// Marks in a stream: the host's clock, or events of a GPU.
#include "kernels/device/clock.h"

#include <chrono>
#ifdef BASIN_CUDA
#include "kernels/device/cuda.h"
#endif

namespace basin {

struct CallClock::Marks {
  std::vector<double> host;
#ifdef BASIN_CUDA
  std::vector<std::unique_ptr<cuda::Event>> events;  // the first `used` are marks
  size_t used = 0;
#endif
};

CallClock::CallClock(const Stream& stream) : stream_(stream), marks_(std::make_unique<Marks>()) {}
CallClock::~CallClock() = default;

void CallClock::mark() {
#ifdef BASIN_CUDA
  if (stream_.device() == Device::kCuda) {
    if (marks_->used == marks_->events.size()) {
      marks_->events.push_back(std::make_unique<cuda::Event>());
    }
    return marks_->events[marks_->used++]->record(stream_.cuda_handle());
  }
#endif
  using Clock = std::chrono::steady_clock;
  marks_->host.push_back(std::chrono::duration<double>(Clock::now().time_since_epoch()).count());
}

size_t CallClock::marks() const {
#ifdef BASIN_CUDA
  if (stream_.device() == Device::kCuda) return marks_->used;
#endif
  return marks_->host.size();
}

std::vector<double> CallClock::seconds() const {
  std::vector<double> times;
#ifdef BASIN_CUDA
  if (stream_.device() == Device::kCuda) {
    for (size_t i = 0; i < marks_->used; ++i) {
      times.push_back(1e-3 * marks_->events[i]->milliseconds_since(*marks_->events[0]));
    }
    return times;
  }
#endif
  for (const double time : marks_->host) times.push_back(time - marks_->host.front());
  return times;
}

void CallClock::clear() {
  marks_->host.clear();
#ifdef BASIN_CUDA
  marks_->used = 0;  // the events are used again
#endif
}

}  // namespace basin
