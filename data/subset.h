// A part of a data set.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"

namespace basin::data {

// The images `indices` of `dataset`, in that order.
std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> dataset,
                                      std::vector<int64_t> indices);

// `count` images at equal distances through `dataset`, or all of it when count is 0 or not smaller:
// also of a set sorted by class a fair part.
std::shared_ptr<const Dataset> evenly_spaced(std::shared_ptr<const Dataset> dataset, int64_t count);

// Every `every`-th image, and the others.
struct HeldOut {
  std::shared_ptr<const Dataset> rest, held;
};
HeldOut hold_out(const std::shared_ptr<const Dataset>& dataset, int64_t every);

}  // namespace basin::data
