// The paper's claims as functions from measured numbers to a verdict. Each rule is written once in
// words, for the report, and once in code, beside each other in claims.cpp.
// P-T: fine-tuned from the pre-trained network. RI-T: trained from random initialisation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace basin {

// How a performance is shown: accuracy in per cent, the area under the ROC curve as it is. Both
// are kept as fractions of 1, and larger is better.
enum class Metric { kAccuracy, kAuc };
std::string metric_name(Metric metric);
std::string format_performance(Metric metric, double value);  // "78.4 %" or "0.788"
std::string format_difference(Metric metric, double value);   // "+3.1 points" or "+0.031"
std::string format_size(Metric metric, double value);         // "3.1 points" or "0.031"
// "+1.2 to +3.1 points" or "+0.012 to +0.031"
std::string format_interval(Metric metric, double lower, double upper);

enum class Verdict {
  kReproduced,
  kNotReproduced,
  kNotEnough,  // measured, but on too little to tell
  kNotRun,
};
const char* verdict_text(Verdict verdict);

struct Judgement {
  Verdict verdict = Verdict::kNotRun;
  std::string measured;  // the figures the verdict rests on
};

struct Finding {
  std::string target;
  Judgement judgement;
  std::string paper;  // the paper's own figure
};

struct Claim {
  std::string statement;
  std::string rule;
  std::vector<Finding> findings;  // one per target
};

extern const char* const kTransferHelpsRule;
// finetune[i] and randinit[i] are the performances of a pair of runs.
Judgement judge_transfer_helps(Metric metric, std::span<const double> finetune,
                               std::span<const double> randinit);

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

extern const char* const kCloserRule;
// l2 distances in parameter space between two P-T and between two RI-T.
Judgement judge_closer(std::optional<double> finetune, std::optional<double> randinit);

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

}  // namespace basin
