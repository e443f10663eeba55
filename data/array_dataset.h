// Data sets whose images lie in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace basin::data {

class ArrayDataset : public Dataset {
 public:
  // `pixels`: [size, height, width, channels], channels 3 (RGB) or 1 (grey, read as R = G = B).
  // `mirror`: whether a mirrored image keeps its label; false for digits.
  ArrayDataset(DatasetInfo info, Labels labels, std::vector<uint8_t> pixels, bool mirror = true);
  void read(int64_t index, uint8_t* pixels) const override;
  ShiftAndFlip draw_change(RandomStream random) const override;

 private:
  bool mirror_ = true;
  std::vector<uint8_t> pixels_;
  int64_t stored_channels_;
};

// What the files of one split hold.
struct LabelledImages {
  int64_t height = 0, width = 0;
  std::vector<int32_t> labels;  // [size]
  std::vector<uint8_t> pixels;  // [size, height, width, channels], channels 3 or 1
  bool mirror = true;           // whether a mirrored image keeps its label

  // The data set of the images at `indices`; fills in the size of `info`.
  std::shared_ptr<const Dataset> take(DatasetInfo info, const std::vector<int64_t>& indices) const;
};

// Throws Error unless options.image_size is 0 or `side`.
void check_image_size(const DataOptions& options, int64_t side);

// The splits that `options` asks for. The source split is the first five sixths of the training
// images. Fills in the name and the size of `info`.
DataSplits split_arrays(DatasetInfo info, const LabelledImages& train, const LabelledImages& test,
                        const DataOptions& options);

}  // namespace basin::data
