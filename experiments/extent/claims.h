// The claims on basins; their words are in section.cpp.
#pragma once

#include <optional>

#include "experiments/report/claims.h"

namespace basin::report {

// The (epsilon, delta)-basin estimated from the line through two networks; the paper's Definition
// 3.1. delta is missing where none on the grid fulfils the definition.
struct BasinExtent {
  double epsilon;
  std::optional<double> delta;
  std::optional<double> largest_delta;  // of the grid
};
Judgement judge_basin(const BasinExtent* finetune);
Judgement judge_no_common_basin(const BasinExtent* finetune, const BasinExtent* randinit);

}  // namespace basin::report
