// What the calls of one step took, by kind or by layer geometry, beside what the device allows.
#pragma once

#include <string>
#include <vector>

#include "experiments/bench/peaks.h"
#include "kernels/device/description.h"

namespace basin {

struct TimedCall {
  CallDescription call;
  double begin = 0, seconds = 0;  // begin: from the start of the step
};

// One step whose calls were observed, in order.
struct StepProfile {
  double seconds = 0;  // of the whole step
  std::vector<TimedCall> calls;

  double call_seconds() const;
  // Between calls: differentiation, memory, and the loop itself; on a GPU, its idle time.
  double host_seconds() const { return seconds - call_seconds(); }
};

// The least time the device can take for `flops` and `bytes`: the longer of both at peak.
double floor_seconds(double flops, double bytes, const DevicePeaks& peaks);

struct CallRow {
  std::string name, geometry;  // geometry: empty in the table by kind
  int64_t count = 0;
  double seconds = 0, flops = 0, bytes = 0;
  double floor_seconds = 0;         // the sum of the calls' floors
  double memory_floor_seconds = 0;  // the part of it from calls that memory bounds

  // Per second, 0 where no time passed.
  double flop_rate() const;
  double byte_rate() const;
  // Part of the time, 0..1, that the floor makes up: 1 is the roofline.
  double of_floor() const;
  bool memory_bound() const { return memory_floor_seconds > floor_seconds / 2; }
};

// Rows of equal name, and with `by_geometry` equal geometry; longest time first.
std::vector<CallRow> call_table(const std::vector<TimedCall>& calls, const DevicePeaks& peaks,
                                bool by_geometry);
// All rows added up.
CallRow total(const std::vector<CallRow>& rows);

}  // namespace basin
