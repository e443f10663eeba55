// Which images of a data set a run asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/dataset.h"

namespace basin::data {

// Indices, ascending, of the training images that `options` asks for. `in_source(i)`: whether image
// i belongs to the source split. With train_size, options.seed draws the images, the same number
// from every class; where it does not divide, the first classes give one more.
std::vector<int64_t> select_train(const std::vector<int32_t>& labels, int64_t classes,
                                  const std::function<bool(int64_t)>& in_source,
                                  const DataOptions& options);

// How many of `size` training images in file order are the source split: five sixths (the first
// 50,000 of Fashion-MNIST's 60,000).
inline int64_t source_count(int64_t size) {
  return size * 5 / 6;
}

// Indices, ascending, of the test images: all, or the first test_size / classes of each class.
std::vector<int64_t> select_test(const std::vector<int32_t>& labels, int64_t classes,
                                 const DataOptions& options);

}  // namespace basin::data
