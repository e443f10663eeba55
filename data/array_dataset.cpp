// Images in memory, RGB or grey.
#include "data/array_dataset.h"

#include <algorithm>

#include "data/selection.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

int64_t stored_channels(const Dataset& dataset, const std::vector<uint8_t>& pixels) {
  const int64_t plane = dataset.size() * dataset.height() * dataset.width();
  const auto bytes = static_cast<int64_t>(pixels.size());
  BASIN_CHECK(dataset.size() > 0 && (bytes == plane || bytes == 3 * plane), dataset.name(), ": ",
              bytes, " bytes of pixels for ", dataset.size(), " images of ", dataset.height(), "x",
              dataset.width());
  return bytes / plane;
}

}  // namespace

ArrayDataset::ArrayDataset(DatasetInfo info, Labels labels, std::vector<uint8_t> pixels,
                           bool mirror)
    : Dataset(std::move(info), std::move(labels)),
      mirror_(mirror),
      pixels_(std::move(pixels)),
      stored_channels_(stored_channels(*this, pixels_)) {}

void ArrayDataset::read(int64_t index, uint8_t* pixels) const {
  check_index(index);
  const int64_t plane = height() * width();
  const uint8_t* stored = pixels_.data() + index * plane * stored_channels_;
  if (stored_channels_ == 3) {
    std::copy_n(stored, plane * 3, pixels);
  } else {
    for (int64_t i = 0; i < plane; ++i) {
      pixels[3 * i] = pixels[3 * i + 1] = pixels[3 * i + 2] = stored[i];
    }
  }
}

ShiftAndFlip ArrayDataset::draw_change(RandomStream random) const {
  return random_shift_and_flip(height(), width(), mirror_, random);
}

std::shared_ptr<const Dataset> LabelledImages::take(DatasetInfo info,
                                                    const std::vector<int64_t>& indices) const {
  info.height = height;
  info.width = width;
  const auto bytes = static_cast<int64_t>(pixels.size() / labels.size());
  std::vector<int32_t> taken_labels;
  std::vector<uint8_t> taken;
  taken.reserve(indices.size() * bytes);
  for (const int64_t i : indices) {
    taken_labels.push_back(labels[i]);
    taken.insert(taken.end(), pixels.begin() + i * bytes, pixels.begin() + (i + 1) * bytes);
  }
  return std::make_shared<const ArrayDataset>(std::move(info), std::move(taken_labels),
                                              std::move(taken), mirror);
}

void check_image_size(const DataOptions& options, int64_t side) {
  BASIN_CHECK(options.image_size == 0 || options.image_size == side, options.spec, ": image_size ",
              options.image_size, ", but its images are ", side, "x", side, "; use ", side,
              " or 0");
}

DataSplits split_arrays(DatasetInfo info, const LabelledImages& train, const LabelledImages& test,
                        const DataOptions& options) {
  check_image_size(options, std::max(train.height, train.width));
  const auto classes = static_cast<int64_t>(info.class_names.size());
  const int64_t border = source_count(static_cast<int64_t>(train.labels.size()));
  const auto in_source = [&](int64_t i) { return i < border; };
  DataSplits splits;
  info.name = options.spec + " train";
  splits.train = train.take(info, select_train(train.labels, classes, in_source, options));
  info.name = options.spec + " test";
  splits.test = test.take(info, select_test(test.labels, classes, options));
  return splits;
}

}  // namespace basin::data
