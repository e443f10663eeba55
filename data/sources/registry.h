// The data sets: one row each in registry.cpp. docs/guides/add-a-data-set.md adds one.
#pragma once

#include <string>

#include "data/dataset.h"

namespace basin::data {

// Loads all splits. Throws Error naming the file, what it holds, what was expected, and the
// remedy. Uses all threads of kernels/base/parallel.h; the result does not depend on them.
DataSplits load_data(const DataOptions& options);

// The specs with a line on each, for --data.
std::string help();

}  // namespace basin::data
