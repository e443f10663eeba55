// Measures per module, for the cases of verdicts.
#pragma once

#include <string>
#include <vector>

#include "experiments/report/claims.h"

namespace basin::report {

using Modules = std::vector<ModuleValue>;

// Modules named "0", "1", ... with these values.
inline Modules modules(const std::vector<double>& values) {
  Modules made;
  for (std::size_t i = 0; i < values.size(); ++i) made.push_back({std::to_string(i), values[i]});
  return made;
}

}  // namespace basin::report
