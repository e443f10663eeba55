// What all data sets share, and the choice of a data set by its spec string.
#include "data/dataset.h"

#include <algorithm>
#include <vector>

#include "data/image/image.h"
#include "data/sources/sources.h"
#include "kernels/base/check.h"

namespace basin::data {

Dataset::Dataset(DatasetInfo info, std::vector<int32_t> labels)
    : info_(std::move(info)),
      size_(static_cast<int64_t>(labels.size())),
      labels_(std::move(labels)) {}

Dataset::Dataset(DatasetInfo info, std::vector<uint8_t> label_rows)
    : info_(std::move(info)),
      size_(static_cast<int64_t>(label_rows.size() / info_.class_names.size())),
      label_rows_(std::move(label_rows)) {}

void Dataset::check_index(int64_t index) const {
  BASIN_CHECK(index >= 0 && index < size_, name(), ": image ", index, " of ", size_);
}

int32_t Dataset::label(int64_t index) const {
  check_index(index);
  BASIN_CHECK(!multi_label(), name(), ": an image of a multi-label set has no single label");
  return labels_[index];
}

void Dataset::target(int64_t index, float* row) const {
  check_index(index);
  if (multi_label()) {
    for (int64_t c = 0; c < classes(); ++c) row[c] = label_rows_[index * classes() + c];
  } else {
    std::fill_n(row, classes(), 0.0f);
    row[labels_[index]] = 1.0f;
  }
}

void Dataset::read_augmented(int64_t index, RandomStream random, uint8_t* pixels) const {
  thread_local std::vector<uint8_t> original;  // reused: no allocation per image
  original.resize(image_bytes());
  read(index, original.data());
  shift_and_flip(original.data(), height(), width(), draw_change(random), pixels);
}

ShiftAndFlip Dataset::draw_change(RandomStream random) const {
  return random_shift_and_flip(height(), width(), mirror(), random);
}

namespace {

// Loads what a spec of the form kind:DIRECTORY names.
DataSplits load_directory(const std::string& kind, const std::string& directory,
                          const DataOptions& options) {
  if (kind == "idx") return load_idx(directory, options);
  if (kind == "imagefolder") return load_image_folder(directory, options);
  if (kind == "imagenet") return load_imagenet(directory, options);
  if (kind == "domainnet") return load_domainnet(directory, options);
  if (kind == "chexpert") return load_chexpert(directory, options);
  return load_cifar(kind, directory, options);
}

constexpr const char* kDirectoryKinds[] = {"idx",      "cifar10",   "cifar100", "imagefolder",
                                           "imagenet", "domainnet", "chexpert"};

}  // namespace

DataSplits load_data(const DataOptions& options) {
  const std::string& spec = options.spec;
  BASIN_CHECK(options.split == "all" || options.split == "source" || options.split == "target",
              "split is '", options.split, "'; expected all, source or target");
  BASIN_CHECK(options.train_size >= 0 && options.test_size >= 0 && options.image_size >= 0,
              "train_size ", options.train_size, ", test_size ", options.test_size, ", image_size ",
              options.image_size, ": none may be negative (0: the default)");
  const auto colon = spec.find(':');
  const std::string kind = spec.substr(0, colon);
  const std::string directory = colon == std::string::npos ? "" : spec.substr(colon + 1);
  const bool from_directory = std::find(std::begin(kDirectoryKinds), std::end(kDirectoryKinds),
                                        kind) != std::end(kDirectoryKinds);
  BASIN_CHECK(!from_directory || !directory.empty(), "data set '", spec,
              "' names no directory; write ", kind,
              kind == "domainnet" ? ":DIRECTORY/DOMAIN" : ":DIRECTORY");
  BASIN_CHECK(from_directory || spec.starts_with("fashion/"), "unknown data set '", spec,
              "'; known are fashion/photo, fashion/clipart, fashion/quickdraw, fashion/mosaic, "
              "idx:DIR, cifar10:DIR, cifar100:DIR, imagefolder:DIR, imagenet:DIR, "
              "domainnet:DIR/DOMAIN, chexpert:DIR");
  DataSplits splits = from_directory ? load_directory(kind, directory, options)
                                     : load_fashion(spec.substr(8), options);
  if (!splits.train_evaluation) splits.train_evaluation = splits.train;
  return splits;
}

}  // namespace basin::data
