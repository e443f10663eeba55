// Time of a training step or an evaluation pass on random images.
#pragma once

#include <string>
#include <vector>

#include "experiments/session.h"

namespace basin {

struct BenchOptions {
  std::string model = "resnet20";
  int64_t image_size = 32, batch_size = 128, classes = 10;
  bool training = true;
  int64_t steps = 10, warmup = 2;
};

// One row of the table of calls: all calls of a kernel in one step.
struct CallTime {
  std::string name;
  int64_t calls;
  double seconds, flops, bytes;  // per step
};

struct BenchResult {
  std::vector<double> step_seconds, step_cpu_seconds;  // per measured step
  std::vector<CallTime> calls;  // slowest first, from one further, observed step
  int64_t activation_bytes;     // high-water mark of the step arena
  int64_t peak_memory_bytes;    // of the process (VmHWM)
};

BenchResult bench(const BenchOptions& options, Session& session);

}  // namespace basin
