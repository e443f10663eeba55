// Marks in a stream and the times at which it reached them, taken without delaying it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/device/stream.h"

namespace basin {

// Measures by the host's clock on the CPU, where a call has finished when run() returns; on a GPU
// by events in the stream, so that the host runs ahead as it does without a clock.
class CallClock {
 public:
  explicit CallClock(const Stream& stream) : stream_(stream) {}

  void mark();
  size_t marks() const { return used_; }
  // Seconds from the first mark to each. Waits until the stream has reached the last one.
  std::vector<double> seconds() const;
  // Forgets all marks.
  void clear() { used_ = 0; }

 private:
  const Stream& stream_;
  std::vector<std::unique_ptr<Event>> events_;  // the first `used_` are marks
  size_t used_ = 0;
};

}  // namespace basin
