// The IDX files of MNIST and its relatives: grey images and their labels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin::data {

struct IdxSplit {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [size, height, width]
  std::vector<int32_t> labels;  // [size]
};

// Reads DIR/PREFIX-images-idx3-ubyte and DIR/PREFIX-labels-idx1-ubyte, each plain or with .gz.
// Throws Error naming the file, what it holds, what was expected, and `remedy`.
IdxSplit read_idx(const std::string& directory, const std::string& prefix,
                  const std::string& remedy);

}  // namespace basin::data
