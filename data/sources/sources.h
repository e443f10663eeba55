// For the files of data/ only: the loader of each kind of data set, and what they share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace basin::data {

// `domain`: photo, clipart, quickdraw or mosaic.
DataSplits load_fashion(const std::string& domain, const DataOptions& options);
DataSplits load_idx(const std::string& directory, const DataOptions& options);
// `kind`: cifar10 or cifar100.
DataSplits load_cifar(const std::string& kind, const std::string& directory,
                      const DataOptions& options);
DataSplits load_image_folder(const std::string& directory, const DataOptions& options);
DataSplits load_imagenet(const std::string& directory, const DataOptions& options);
// `path`: of the domain's folder; its lists lie beside it.
DataSplits load_domainnet(const std::string& path, const DataOptions& options);
DataSplits load_chexpert(const std::string& directory, const DataOptions& options);

// A data set whose images all lie in memory.
class ArrayDataset : public Dataset {
 public:
  // `pixels`: [size, height, width, channels], channels 3 (RGB) or 1 (grey, read as R = G = B).
  ArrayDataset(DatasetInfo info, std::vector<int32_t> labels, std::vector<uint8_t> pixels);
  // Multi-label: label_rows [size, classes].
  ArrayDataset(DatasetInfo info, std::vector<uint8_t> label_rows, std::vector<uint8_t> pixels);
  void read(int64_t index, uint8_t* pixels) const override;

 private:
  std::vector<uint8_t> pixels_;
  int64_t stored_channels_;
};

// Indices, ascending, of the training images that `options` asks for. `in_source(i)`: whether image
// i belongs to the source split. With train_size, the images are drawn by options.seed, the same
// number from every class (one more from the first classes when it does not divide).
std::vector<int64_t> select_train(const std::vector<int32_t>& labels, int64_t classes,
                                  const std::function<bool(int64_t)>& in_source,
                                  const DataOptions& options);

// How many of `size` training images in the order of the file are the source split: five sixths
// (the first 50,000 of Fashion-MNIST's 60,000).
inline int64_t source_count(int64_t size) {
  return size * 5 / 6;
}

// Indices, ascending, of the test images: all, or the first test_size / classes of each class.
std::vector<int64_t> select_test(const std::vector<int32_t>& labels, int64_t classes,
                                 const DataOptions& options);

// Throws unless options.image_size is 0 or `side`.
void check_image_size(const DataOptions& options, int64_t side);

}  // namespace basin::data
