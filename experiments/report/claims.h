// A claim of the paper, its rule and its verdicts. The claims themselves are in the experiments'
// folders. P: the pre-trained network. P-T: fine-tuned from it on the target, with a fresh
// classifier. RI-T: trained on the target from random initialisation.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/report/statistics.h"

namespace basin::report {

// How a performance is shown: accuracy in per cent, the area under the ROC curve as it is. Both
// are kept as fractions of 1, and larger is better.
enum class Metric { kAccuracy, kAuc };
std::string metric_name(Metric metric);
std::string format_performance(Metric metric, double value);  // "78.4 %" or "0.788"
std::string format_difference(Metric metric, double value);   // "+3.1 points" or "+0.031"
std::string format_size(Metric metric, double value);         // "3.1 points" or "0.031"
// "+1.2 to +3.1 points" or "+0.012 to +0.031"
std::string format_interval(Metric metric, double lower, double upper);
// "+2.1 points (95 % CI +1.2 to +3.1 points)", and the same with ", n = 3" before the bracket.
std::string format_estimate(Metric metric, const MeanInterval& interval);
std::string format_mean(Metric metric, const MeanInterval& interval);
// The threshold of a rule in percentage points: "1 point".
std::string format_points(double fraction);

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
Judgement judged_not_run(std::string measured = "no measurement");
Judgement decide(bool holds, std::string measured);
// Reproduced if the whole interval lies above `threshold`, not reproduced if it lies below, else
// not enough data.
Judgement decide(double lower, double upper, double threshold, std::string measured);

struct Finding {
  std::string target;  // or what else the verdict is about, such as two targets
  Judgement judgement;
  std::string paper;  // the paper's own figure
};

struct Claim {
  std::string statement;
  std::string rule;
  std::vector<Finding> findings;
};

// ---- Measures per module, in order of depth ----

struct ModuleValue {
  std::string module;
  double value;
};
std::optional<double> value_of(std::span<const ModuleValue> values, const std::string& module);

constexpr double kSignificance = 0.05;  // p-values up to it count as significant

// The rule "the value grows with depth": Spearman's rank correlation of the two, fc left out.
std::string depth_rule();
// `other`: another measure of the modules, whose correlation is only shown; may be empty.
Judgement judge_depth(std::span<const ModuleValue> values, const std::string& other_name = "",
                      std::span<const ModuleValue> other = {});

}  // namespace basin::report
