// The IDX files of MNIST and its relatives: grey images and their labels.
#pragma once

#include <string>

#include "data/array_dataset.h"

namespace basin::data {

// Reads DIR/PREFIX-images-idx3-ubyte and DIR/PREFIX-labels-idx1-ubyte, each plain or with .gz.
// Throws Error naming the file, what it holds, what was expected, and `remedy`.
LabelledImages read_idx(const std::string& directory, const std::string& prefix,
                        const std::string& remedy);

}  // namespace basin::data
