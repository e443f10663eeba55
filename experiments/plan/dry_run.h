// What a plan would cost on this machine.
#pragma once

#include <string>

#include "experiments/plan/paper_plan.h"

namespace basin {

// Every task of the plan with its cost in FLOPs, images and time (from steps timed here), whether
// it is done, and totals per experiment. Needs no data and writes nothing.
std::string dry_run(const PaperPlan& plan, Session& session);

}  // namespace basin
