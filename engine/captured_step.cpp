// Recording and replaying a step.
#include "engine/captured_step.h"

#include <utility>

#include "kernels/base/check.h"

namespace basin {

CapturedStep::CapturedStep(Stream& stream, StepArena& arena, std::function<void()> step,
                           bool capture)
    : stream_(stream),
      arena_(arena),
      step_(std::move(step)),
      capture_(capture && stream.device() != Device::kCpu) {}

void CapturedStep::run() {
  constexpr int kOrdinaryRuns = 2;
  if (!capture_ || ordinary_runs_ < kOrdinaryRuns) {
    step_();
    ++ordinary_runs_;
    return;
  }
  if (!calls_) record();
  // Another block might lie where the step writes, or a block that the step reads be gone.
  BASIN_CHECK(arena_.live_bytes() == live_bytes_, "the activations' memory holds ",
              arena_.live_bytes(), " bytes before a captured step, and held ", live_bytes_,
              " when it was recorded");
  arena_.begin_replay();
  stream_.replay(*calls_);
  arena_.end_replay();
}

void CapturedStep::record() {
  const int64_t growths = arena_.allocations_from_system();
  stream_.begin_capture();
  try {
    step_();
  } catch (...) {
    stream_.end_capture();
    throw;
  }
  auto calls = stream_.end_capture();
  BASIN_CHECK(arena_.allocations_from_system() == growths,
              "a step takes more memory than the same step did before; it cannot be captured");
  calls_ = std::move(calls);  // only now: what was refused is not replayed by a later run
  live_bytes_ = arena_.live_bytes();
}

}  // namespace basin
