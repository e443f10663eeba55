// What a claim of the paper, its rule and its verdict are. The rules themselves stand in
// claims_runs, claims_networks and claims_sweeps, each once in words and once in code.
// P: the pre-trained network. P-T: fine-tuned from it on the target, with a fresh classifier.
// RI-T: trained on the target from random initialisation.
#pragma once

#include <string>
#include <vector>

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

}  // namespace basin::report
