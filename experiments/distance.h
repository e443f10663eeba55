// Distance of two networks in parameter space. Paper, section 3.2, Table 2.
#pragma once

#include <string>
#include <vector>

#include "engine/state.h"

namespace basin {

struct Distance {
  std::string module;               // "all", "all_but_fc", then each module
  double distance, norm_a, norm_b;  // l2, not normalised
};

// Parameters only, no running statistics. When the two differ in the shape of fc, as fine-tuned and
// pre-trained network may, `with_fc` is false: "all" and "fc" are left out, and fc's weights are
// not read.
std::vector<Distance> distances(const State& a, const State& b, bool with_fc);

}  // namespace basin
