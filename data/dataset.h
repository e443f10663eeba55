// A data set: the images of one split with their labels. data/sources/registry.h loads one by its
// spec string.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/image/image.h"
#include "kernels/base/random.h"

namespace basin::data {

// What is the same for all images of a split.
struct DatasetInfo {
  std::string name;  // the spec and the split, for messages
  int64_t height = 0, width = 0;
  std::vector<std::string> class_names;
  bool multi_label = false;       // an image may have any number of the labels
  std::array<float, 3> mean{};    // of pixel / 255, for normalising
  std::array<float, 3> stddev{};  // of pixel / 255
};

// One class an image, or, for multi-label sets, rows [size, classes] of 0 and 1.
struct Labels {
  Labels(std::vector<int32_t> of_images) : classes(std::move(of_images)) {}
  Labels(std::vector<uint8_t> of_images) : rows(std::move(of_images)) {}

  std::vector<int32_t> classes;  // empty for multi-label sets
  std::vector<uint8_t> rows;     // empty for others
};

// Images of one split. All const functions may be called from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const DatasetInfo& info() const { return info_; }
  const std::string& name() const { return info_.name; }
  int64_t size() const { return size_; }
  int64_t height() const { return info_.height; }
  int64_t width() const { return info_.width; }
  static constexpr int64_t channels() { return 3; }
  int64_t image_bytes() const { return height() * width() * channels(); }
  int64_t classes() const { return static_cast<int64_t>(info_.class_names.size()); }
  bool multi_label() const { return info_.multi_label; }
  const std::vector<std::string>& class_names() const { return info_.class_names; }
  const std::array<float, 3>& mean() const { return info_.mean; }
  const std::array<float, 3>& stddev() const { return info_.stddev; }

  // Whether read() only copies; false where it decodes a file.
  virtual bool in_memory() const { return true; }

  // Writes image `index` as it is evaluated: [height, width, 3] RGB.
  virtual void read(int64_t index, uint8_t* pixels) const = 0;

  // Writes a random variant of image `index` for training: [height, width, 3] RGB. By default the
  // image changed by draw_change().
  virtual void read_augmented(int64_t index, RandomStream random, uint8_t* pixels) const;

  // How read_augmented() changes an image of a set in memory. By default a shift by up to an eighth
  // of the side (edge pixels repeated), and a horizontal flip half of the time.
  virtual ShiftAndFlip draw_change(RandomStream random) const;

  // The class of image `index`; only when !multi_label().
  int32_t label(int64_t index) const;
  // Writes the one-hot or multi-hot row [classes()].
  void target(int64_t index, float* row) const;
  // Those of the images at `indices`.
  Labels labels_at(const std::vector<int64_t>& indices) const;

 protected:
  Dataset(DatasetInfo info, Labels labels);

  void check_index(int64_t index) const;

 private:
  DatasetInfo info_;
  Labels labels_;
  int64_t size_;
};

struct DataOptions {
  std::string spec = "fashion/photo";  // as in data/sources/registry.cpp
  std::string data_dir;       // of the Fashion-MNIST files; empty: where Debian installs them
  int64_t image_size = 0;     // side in pixels; 0: the set's own (images in files: 224)
  std::string split = "all";  // training images: "all", "source", or "target" (never in "source")
  int64_t train_size = 0;     // draw this many of them, equally from every class; 0: all
  uint64_t seed = 1;          // of that draw
  bool skip_bad = false;      // images in files: go on past unreadable ones
  int64_t test_size = 0;      // the first test images, equally from every class; 0: all

  bool operator==(const DataOptions&) const = default;
};

struct DataSplits {
  std::shared_ptr<const Dataset> train, test;
  // What "on the training images" means in an evaluation: `train` itself, or, where training sees
  // some images twice, each of them once. From load_data never null.
  std::shared_ptr<const Dataset> train_evaluation = nullptr;
  // Images held out beside the test images, to select by; null: the set has none.
  std::shared_ptr<const Dataset> validation = nullptr;
};

}  // namespace basin::data
