// Marks are events; cleared ones are used again.
#include "kernels/device/clock.h"

namespace basin {

void CallClock::mark() {
  if (used_ == events_.size()) events_.push_back(make_event(stream_.device()));
  events_[used_++]->record(stream_);
}

std::vector<double> CallClock::seconds() const {
  std::vector<double> times;
  for (size_t i = 0; i < used_; ++i) times.push_back(events_[i]->seconds_since(*events_[0]));
  return times;
}

}  // namespace basin
