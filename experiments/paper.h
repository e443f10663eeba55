// The plan: every run and analysis of a preset in dependency order, resumable, ending in the
// report.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/session.h"

namespace basin {

struct PaperOptions {
  std::string preset = "demo";  // smoke: a minute, to see that all works; demo: about ten minutes
  std::string data_dir;
  std::filesystem::path out = "runs/paper";
};

// Pre-trains on the source domain, fine-tunes and trains from random initialisation on each target,
// interpolates, rewinds, measures distances, writes plan.json and report.html. What is done is
// kept, what was cut off is resumed, a failed run is named at the end and makes the call fail after
// all others ran. Throws Interrupted after SIGINT or SIGTERM.
void run_paper(const PaperOptions& options, Session& session);

}  // namespace basin
