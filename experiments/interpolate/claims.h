// The claims on barriers; their words are in section.cpp.
#pragma once

#include <cstdint>
#include <optional>

#include "experiments/report/claims.h"

namespace basin::report {

// What a line between two networks showed.
struct BarrierMeasurement {
  Metric metric;
  double height;                          // of the performance barrier
  double first, second;                   // performance at both ends
  std::optional<std::int64_t> test_size;  // number of test images, where known
};
// A barrier up to this size cannot be told from none: 0.01, or the sampling error of the test set
// where that is larger (accuracy only).
double barrier_band(const BarrierMeasurement& measurement);

Judgement judge_no_barrier(const std::optional<BarrierMeasurement>& measurement);
Judgement judge_barrier(const std::optional<BarrierMeasurement>& measurement);
// Two RI-T from the same random weights, and two from different ones.
Judgement judge_lower_barrier(const std::optional<BarrierMeasurement>& same,
                              const std::optional<BarrierMeasurement>& different);

}  // namespace basin::report
