// A part of a data set, read through to the whole.
#include "data/subset.h"

#include "kernels/base/check.h"

namespace basin::data {
namespace {

DatasetInfo info_of_part(const Dataset& whole) {
  DatasetInfo info = whole.info();
  info.name += " (part)";
  return info;
}

class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
      : Dataset(info_of_part(*whole), whole->labels_at(indices)),
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
  return std::make_shared<Subset>(std::move(dataset), std::move(indices));
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
