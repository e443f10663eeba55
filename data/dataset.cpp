// What all data sets share.
#include "data/dataset.h"

#include <algorithm>
#include <vector>

#include "data/image/image.h"
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
  return random_shift_and_flip(height(), width(), true, random);
}

}  // namespace basin::data
