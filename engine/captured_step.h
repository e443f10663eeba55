// A step that is the same every time, recorded once and then replayed: on a GPU as one CUDA graph.
#pragma once

#include <functional>
#include <memory>

#include "engine/arena.h"
#include "kernels/device/stream.h"

namespace basin {

// The first two runs are ordinary ones, in which memory is taken from the system and libraries
// choose algorithms. The third is recorded, and it and all later ones are replays: the same calls
// with the same addresses and the same scalars. So what changes from step to step has to be read
// from device memory that is written between the steps: the batch, the learning rate (class Sgd).
// On the CPU every run is an ordinary one.
class CapturedStep {
 public:
  // `step` queues calls on `stream` and takes memory from `arena`; tensors that outlive it keep
  // their address, and are written again by each run. `capture` false: every run is ordinary.
  CapturedStep(Stream& stream, StepArena& arena, std::function<void()> step, bool capture);

  // Throws Error where `step`, while it is recorded, takes memory from the system, waits for the
  // device or copies from or to the host; and where `arena` holds more, or less, than it did when
  // the step was recorded.
  void run();
  bool captured() const { return calls_ != nullptr; }

 private:
  void record();

  Stream& stream_;
  StepArena& arena_;
  std::function<void()> step_;
  bool capture_;
  int ordinary_runs_ = 0;
  int64_t live_bytes_ = 0;  // of the arena, after recording
  std::shared_ptr<const CapturedCalls> calls_;
};

}  // namespace basin
