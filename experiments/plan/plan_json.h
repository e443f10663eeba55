// plan.json of a results folder: what the plan is, for the report and for the next call.
#pragma once

#include <chrono>
#include <string>

#include "experiments/plan/paper_plan.h"

namespace basin {

class PlanJson {
 public:
  // Finished tasks are reused by name. Throws Error when the folder holds those of another preset,
  // of other settings, or in another precision.
  PlanJson(const PaperPlan& plan, Precision precision);
  // Seconds of this folder's earlier calls count too.
  void write() const;

 private:
  const PaperPlan& plan_;
  Precision precision_;
  std::string started_;
  double seconds_before_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The sides of the blocks on the sheet of a target's shuffled images.
std::vector<int64_t> sheet_blocks(const Preset& preset);

}  // namespace basin
