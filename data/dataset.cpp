// What all data sets share.
#include "data/dataset.h"

#include <algorithm>
#include <vector>

#include "data/image/image.h"
#include "kernels/base/check.h"

namespace basin::data {

Dataset::Dataset(DatasetInfo info, Labels labels)
    : info_(std::move(info)),
      labels_(std::move(labels)),
      size_(static_cast<int64_t>(multi_label() ? labels_.rows.size() / info_.class_names.size()
                                               : labels_.classes.size())) {}

void Dataset::check_index(int64_t index) const {
  BASIN_CHECK(index >= 0 && index < size_, name(), ": image ", index, " of ", size_);
}

int32_t Dataset::label(int64_t index) const {
  check_index(index);
  BASIN_CHECK(!multi_label(), name(), ": an image of a multi-label set has no single label");
  return labels_.classes[index];
}

void Dataset::target(int64_t index, float* row) const {
  check_index(index);
  if (multi_label()) {
    for (int64_t c = 0; c < classes(); ++c) row[c] = labels_.rows[index * classes() + c];
  } else {
    std::fill_n(row, classes(), 0.0f);
    row[labels_.classes[index]] = 1.0f;
  }
}

Labels Dataset::labels_at(const std::vector<int64_t>& indices) const {
  std::vector<int32_t> of_images;
  std::vector<uint8_t> rows;
  for (const int64_t index : indices) {
    check_index(index);
    if (multi_label()) {
      const auto row = labels_.rows.begin() + index * classes();
      rows.insert(rows.end(), row, row + classes());
    } else {
      of_images.push_back(labels_.classes[index]);
    }
  }
  return multi_label() ? Labels(std::move(rows)) : Labels(std::move(of_images));
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
