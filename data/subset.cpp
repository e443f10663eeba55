// A part of a data set, read through to the whole.
#include "data/subset.h"

#include "kernels/base/check.h"

namespace basin::data {
namespace {

DatasetInfo info_of(const Dataset& whole) {
  DatasetInfo info;
  info.name = whole.name() + " (part)";
  info.height = whole.height();
  info.width = whole.width();
  info.class_names = whole.class_names();
  info.multi_label = whole.multi_label();
  info.mean = whole.mean();
  info.stddev = whole.stddev();
  return info;
}

std::vector<int32_t> labels_of(const Dataset& whole, const std::vector<int64_t>& indices) {
  std::vector<int32_t> labels;
  for (const int64_t index : indices) labels.push_back(whole.label(index));
  return labels;
}

std::vector<uint8_t> label_rows_of(const Dataset& whole, const std::vector<int64_t>& indices) {
  std::vector<uint8_t> rows;
  std::vector<float> row(static_cast<size_t>(whole.classes()));
  for (const int64_t index : indices) {
    whole.target(index, row.data());
    for (const float value : row) rows.push_back(value > 0.5f);
  }
  return rows;
}

class Subset final : public Dataset {
 public:
  template <class Labels>
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices, Labels labels)
      : Dataset(info_of(*whole), std::move(labels)),
        whole_(std::move(whole)),
        indices_(std::move(indices)) {}

  bool in_memory() const override { return whole_->in_memory(); }
  void read(int64_t index, uint8_t* pixels) const override {
    check_index(index);
    whole_->read(indices_[static_cast<size_t>(index)], pixels);
  }
  void read_augmented(int64_t index, RandomStream random, uint8_t* pixels) const override {
    check_index(index);
    whole_->read_augmented(indices_[static_cast<size_t>(index)], random, pixels);
  }
  ShiftAndFlip draw_change(RandomStream random) const override {
    return whole_->draw_change(random);
  }

 private:
  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

}  // namespace

std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> dataset,
                                      std::vector<int64_t> indices) {
  if (dataset->multi_label()) {
    auto rows = label_rows_of(*dataset, indices);
    return std::make_shared<Subset>(std::move(dataset), std::move(indices), std::move(rows));
  }
  auto labels = labels_of(*dataset, indices);
  return std::make_shared<Subset>(std::move(dataset), std::move(indices), std::move(labels));
}

std::shared_ptr<const Dataset> evenly_spaced(std::shared_ptr<const Dataset> dataset,
                                             int64_t count) {
  BASIN_CHECK(count >= 0, "a part of a data set cannot have ", count, " images");
  if (count == 0 || count >= dataset->size()) return dataset;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i * dataset->size() / count);
  return subset(std::move(dataset), std::move(indices));
}

HeldOut hold_out(const std::shared_ptr<const Dataset>& dataset, int64_t every) {
  BASIN_CHECK(every >= 2 && dataset->size() >= every, "of ", dataset->size(), " images every ",
              every, "th cannot be held out");
  std::vector<int64_t> kept, held;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    (i % every == every - 1 ? held : kept).push_back(i);
  }
  return {subset(dataset, std::move(kept)), subset(dataset, std::move(held))};
}

}  // namespace basin::data
