// A part of a data set.
#pragma once

#include <memory>

#include "data/dataset.h"

namespace basin::data {

// `count` images at equal distances through `dataset`, or all of it when count is 0 or not smaller:
// also of a set sorted by class a fair part.
std::shared_ptr<const Dataset> evenly_spaced(std::shared_ptr<const Dataset> dataset, int64_t count);

}  // namespace basin::data
