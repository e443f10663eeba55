// Rules for sweeps over weight settings: barriers, the extent of a basin, rewinding, criticality.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "experiments/report/claims.h"
#include "experiments/report/claims_networks.h"

namespace basin::report {

// The performance barrier on the line between two networks: max over lambda of
// (1 - lambda) m(0) + lambda m(1) - m(lambda), sign reversed where smaller is better. Never below
// 0; infinite where a value is not finite. `lambda` ascends from 0 to 1; throws otherwise.
double barrier_height(std::span<const double> lambda, std::span<const double> values,
                      bool larger_is_better);

// What a line between two networks showed.
struct BarrierMeasurement {
  double height;                          // of the performance barrier
  double first, second;                   // performance at both ends
  std::optional<std::int64_t> test_size;  // number of test images, where known
};
// A barrier up to this size cannot be told from none: 0.01, or the sampling error of the test set
// where that is larger (accuracy only).
double barrier_band(Metric metric, const BarrierMeasurement& measurement);

extern const char* const kNoBarrierRule;
Judgement judge_no_barrier(Metric metric, const std::optional<BarrierMeasurement>& measurement);

extern const char* const kBarrierRule;
Judgement judge_barrier(Metric metric, const std::optional<BarrierMeasurement>& measurement);

extern const char* const kLowerBarrierRule;
// Two RI-T from the same random weights, and two from different ones.
Judgement judge_lower_barrier(Metric metric, const std::optional<BarrierMeasurement>& same,
                              const std::optional<BarrierMeasurement>& different);

// The (epsilon, delta)-basin estimated from the line through two networks; the paper's Definition
// 3.1. delta is missing where none on the grid fulfils the definition.
struct BasinExtent {
  double epsilon;
  std::optional<double> delta;
  std::optional<double> largest_delta;  // of the grid
};
extern const char* const kBasinRule;
Judgement judge_basin(const std::optional<BasinExtent>& finetune);
extern const char* const kNoCommonBasinRule;
Judgement judge_no_common_basin(const std::optional<BasinExtent>& finetune,
                                const std::optional<BasinExtent>& randinit);

// Performance after one module was set back to its start value.
struct ModuleScore {
  std::string module;  // "none": nothing was set back
  double performance;
};
// The mean drop over the stem (conv1) and the first block of each stage (layerN.0), the modules
// the paper finds critical in RI-T; nothing where `scores` lacks "none" or all of these.
std::optional<double> critical_drop(std::span<const ModuleScore> scores);

extern const char* const kRewindingRule;
Judgement judge_rewinding(Metric metric, std::span<const ModuleScore> finetune,
                          std::span<const ModuleScore> randinit);

extern const char* const kClassifierRule;
Judgement judge_classifier(Metric metric, std::span<const ModuleScore> finetune);

// Criticality per module on the direct path; infinite where no setting was admissible.
extern const char* const kCriticalityRule;
Judgement judge_criticality(std::span<const ModuleValue> finetune,
                            std::span<const ModuleValue> randinit);
extern const char* const kCriticalityDepthRule;
Judgement judge_criticality_depth(std::span<const ModuleValue> finetune);

}  // namespace basin::report
