// Runs the plan of a preset into a folder.
#pragma once

#include "experiments/plan/paper_plan.h"

namespace basin {

// Pre-training, fine-tuning and training from random initialisation on each target, and the
// analyses; writes plan.json and report.html. Finished tasks are kept and interrupted ones resumed.
// A failed task is named at the end and makes the call fail, after all others ran. Throws
// Interrupted after SIGINT or SIGTERM.
void run_paper(const PaperPlan& plan, Session& session);

}  // namespace basin
