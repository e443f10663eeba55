// The whole paper: every run and analysis of a preset as a plan, and its report.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/plan/plan.h"
#include "experiments/plan/presets.h"
#include "experiments/program/session.h"

namespace basin {

struct PaperOptions {
  std::string preset = "demo";  // smoke: to see that all works; demo: minutes; paper: the protocol
  PresetData data;
  std::filesystem::path out = "runs/paper";
  std::vector<std::string> only;  // experiments; empty: all
  Shard shard;
};

// Runs the plan: pre-training, fine-tuning and training from random initialisation on each target,
// and the analyses; writes plan.json and report.html. What is done is kept, what was cut off is
// resumed, a failed run is named at the end and makes the call fail after all others ran. Throws
// Interrupted after SIGINT or SIGTERM.
void run_paper(const PaperOptions& options, Session& session);

// The tasks of the plan, for looking at: their `run` is empty. Needs no data.
std::vector<Task> paper_tasks(const PaperOptions& options, Session& session);

// What run_paper() would do: every task with its cost in FLOPs, images and time on this machine
// (from steps timed here), whether it is done, and totals per experiment. Needs no data and writes
// nothing.
std::string describe_paper(const PaperOptions& options, Session& session);

}  // namespace basin
