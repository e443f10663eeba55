// Time of a training step or an evaluation pass on random images, and of the calls in it.
#pragma once

#include <string>
#include <vector>

#include "experiments/bench/call_table.h"
#include "experiments/program/command.h"
#include "experiments/program/session.h"

namespace basin {

struct BenchOptions {
  std::string model = "resnet20";
  int64_t image_size = 32, batch_size = 128, classes = 10;
  int64_t width = 0;  // as ModelOptions::width
  bool training = true;
  int64_t steps = 10, warmup = 2;
  bool nvtx = false;  // a range around every call of the observed steps
};

struct BenchResult {
  std::vector<double> step_seconds, step_cpu_seconds;  // per measured step
  // Of training steps that are recorded once and then replayed, as `basin train` runs them; empty
  // on the CPU, and where the session captures none.
  std::vector<double> captured_step_seconds;
  StepProfile profile;              // the median of up to three further steps, observed
  int64_t activation_bytes = 0;     // high-water mark of the step arena
  int64_t peak_memory_bytes = 0;    // of the process (VmHWM)
  int64_t device_memory_bytes = 0;  // of a GPU: the most held of its memory; else 0
};

BenchResult bench(const BenchOptions& options, Session& session);
Command bench_command();

// The middle of `values`, the mean of the two in the middle of an even number.
double median(std::vector<double> values);

}  // namespace basin
