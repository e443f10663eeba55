// Module rewinding: which modules matter? Paper, section 3.4, Figure 5.
#pragma once

#include <string>
#include <vector>

#include "experiments/evaluate.h"

namespace basin {

struct RewindResult {
  std::string module;  // "none": nothing rewound
  double loss, score;
};

// Evaluates `trained` with each module in turn set to its value in `earlier`; the first row is
// "none". `network` is scratch.
std::vector<RewindResult> rewind(Network& network, const State& trained, const State& earlier,
                                 EvaluationSet& set, Session& session);

}  // namespace basin
