// Module rewinding: which modules matter? Paper, section 3.4, Figure 5; Zhang, Bengio, Singer, "Are
// all layers created equal?" (re-initialisation and re-randomisation).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/options.h"
#include "experiments/program/sweep.h"

namespace basin {

// What a module is set to.
struct RewindTarget {
  std::string to;    // an epoch number, or "random"
  int64_t draw = 0;  // of "random", from 1; else 0
  std::function<void(Network&, const std::string& module)> write;
};

struct RewindResult {
  std::string module;  // "none": nothing rewound
  std::string to;
  int64_t draw;
  double loss, score;
};

// The base of `sweep` as it is ("none"), then for each target with each module in turn set to it.
std::vector<RewindResult> rewind(Sweep& sweep, const std::vector<RewindTarget>& targets);

struct RewindOptions {
  std::filesystem::path run;  // folder of a training run; its last checkpoint is rewound
  data::DataOptions data;     // test images
  std::vector<int64_t> to_epochs = {0};
  int64_t random_draws = 0;  // new initial weights drawn for each module
  std::filesystem::path out;

  Options list();
};

// Writes rewind.csv (module, to, draw, loss, accuracy|auc). A finished folder of the same settings
// is left as it is. Throws Error when the run has no checkpoint of an epoch.
void run_rewind(const RewindOptions& options, Session& session);

}  // namespace basin
