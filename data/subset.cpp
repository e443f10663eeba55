// A part of a data set, read through to the whole.
#include "data/subset.h"

#include "kernels/check.h"

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

int64_t place(int64_t index, int64_t count, int64_t size) {
  return index * size / count;
}

std::vector<int32_t> labels_of(const Dataset& whole, int64_t count) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back(whole.label(place(i, count, whole.size())));
  return labels;
}

std::vector<uint8_t> label_rows_of(const Dataset& whole, int64_t count) {
  std::vector<uint8_t> rows;
  std::vector<float> row(static_cast<size_t>(whole.classes()));
  for (int64_t i = 0; i < count; ++i) {
    whole.target(place(i, count, whole.size()), row.data());
    for (const float value : row) rows.push_back(value > 0.5f);
  }
  return rows;
}

class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int32_t> labels)
      : Dataset(info_of(*whole), std::move(labels)), whole_(std::move(whole)) {}
  Subset(std::shared_ptr<const Dataset> whole, std::vector<uint8_t> label_rows)
      : Dataset(info_of(*whole), std::move(label_rows)), whole_(std::move(whole)) {}

  void read(int64_t index, uint8_t* pixels) const override {
    whole_->read(place(index, size(), whole_->size()), pixels);
  }
  void read_augmented(int64_t index, RandomStream random, uint8_t* pixels) const override {
    whole_->read_augmented(place(index, size(), whole_->size()), random, pixels);
  }

 private:
  std::shared_ptr<const Dataset> whole_;
};

}  // namespace

std::shared_ptr<const Dataset> evenly_spaced(std::shared_ptr<const Dataset> dataset,
                                             int64_t count) {
  BASIN_CHECK(count >= 0, "a part of a data set cannot have ", count, " images");
  if (count == 0 || count >= dataset->size()) return dataset;
  if (dataset->multi_label()) {
    auto rows = label_rows_of(*dataset, count);
    return std::make_shared<Subset>(std::move(dataset), std::move(rows));
  }
  auto labels = labels_of(*dataset, count);
  return std::make_shared<Subset>(std::move(dataset), std::move(labels));
}

}  // namespace basin::data
