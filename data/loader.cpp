// The loader: a ring of batches that workers fill in order of claim and next() hands out in order.
#include "data/loader.h"

#include <algorithm>
#include <numeric>

#include "data/mixup.h"
#include "kernels/base/check.h"
#include "kernels/base/random.h"

namespace basin::data {

namespace {

constexpr int kMostWorkers = 256;
constexpr int64_t kBatchMemory = int64_t{1} << 30;

}  // namespace

LoaderOptions with_workers(LoaderOptions options, const Dataset& dataset, int threads) {
  options.workers = 1;
  if (!dataset.in_memory()) {
    options.workers = static_cast<int>(
        std::clamp<int64_t>(kBatchMemory / (options.batch_size * dataset.image_bytes()), 1,
                            std::clamp(threads, 1, kMostWorkers)));
  }
  options.batches_ahead = std::max(2, options.workers);
  return options;
}

Loader::Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options)
    : dataset_(std::move(dataset)), options_(options) {
  BASIN_CHECK(dataset_ && dataset_->size() > 0, "a loader needs a data set with images");
  const Dataset& data = *dataset_;
  const int64_t rows = options_.batch_size;
  BASIN_CHECK(rows >= 1, "batch size is ", rows);
  BASIN_CHECK(options_.workers >= 1 && options_.workers <= kMostWorkers,
              "data workers: ", options_.workers, ", expected 1..", kMostWorkers);
  BASIN_CHECK(options_.batches_ahead >= 1, "batches ahead: ", options_.batches_ahead,
              "; workers need at least 1");
  BASIN_CHECK(options_.mixup_alpha >= 0, "mixup alpha is ", options_.mixup_alpha,
              "; expected 0 (none) or more");
  BASIN_CHECK(data.size() < int64_t{1} << 32, data.name(), ": more than 2^32 images");
  BASIN_CHECK(!options_.views || !options_.augment || data.in_memory(), data.name(),
              ": augmented images in files are no views of images in memory");
  order_.resize(data.size());
  batches_ = (data.size() - 1) / rows + 1;
  next_claim_ = next_out_ = batches_;  // nothing to do before start_epoch()
  // One slot more than are made ahead: next() has lent one to its caller.
  slots_.resize(options_.batches_ahead + 1);
  for (Slot& slot : slots_) {
    slot.batch.indices.reserve(rows);
    slot.batch.labels.reserve(rows);
    slot.batch.partners.reserve(rows);
    slot.batch.views.reserve(options_.views ? rows : 0);
    slot.batch.pixels.resize(options_.views ? 0 : rows * data.image_bytes());
  }
  for (int i = 0; i < options_.workers; ++i) {
    workers_.emplace_back([this](std::stop_token stop) { work(stop); });
  }
}

Loader::~Loader() {
  cancelled_ = true;
}

void Loader::start_epoch(int64_t epoch, int64_t first_batch) {
  BASIN_CHECK(epoch >= 0 && epoch < int64_t{1} << 24, "epoch ", epoch, ", expected 0..2^24-1");
  BASIN_CHECK(first_batch >= 0 && first_batch <= batches_, "first batch ", first_batch, " of ",
              batches_, " in an epoch");
  std::unique_lock lock(mutex_);
  next_claim_ = batches_;  // no more claims
  cancelled_ = true;       // and the claimed batches end early
  done_.wait(lock, [&] { return active_ == 0; });
  cancelled_ = false;
  epoch_ = epoch;
  std::iota(order_.begin(), order_.end(), int64_t{0});
  if (options_.shuffle) {
    RandomStream random(options_.seed, RandomPurpose::kOrder, static_cast<uint32_t>(epoch));
    shuffle(order_.begin(), order_.end(), random);
  }
  for (Slot& slot : slots_) slot.ready = false;
  next_claim_ = next_out_ = first_batch;
  claimable_ = first_batch + static_cast<int64_t>(slots_.size());
  work_.notify_all();
}

const Batch* Loader::next() {
  if (next_out_ == batches_) return nullptr;
  Slot& slot = slots_[next_out_ % static_cast<int64_t>(slots_.size())];
  std::unique_lock lock(mutex_);
  // The slot lent before this call is free now: one more batch may be claimed.
  claimable_ = next_out_ + static_cast<int64_t>(slots_.size());
  work_.notify_all();
  done_.wait(lock, [&] { return slot.ready && slot.number == next_out_; });
  if (slot.error) std::rethrow_exception(slot.error);
  ++next_out_;
  return &slot.batch;
}

void Loader::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (work_.wait(lock, stop, [&] { return next_claim_ < std::min(batches_, claimable_); })) {
    const int64_t number = next_claim_++;
    Slot& slot = slots_[number % static_cast<int64_t>(slots_.size())];
    slot.ready = false;
    ++active_;
    lock.unlock();
    slot.error = nullptr;
    try {
      make(slot.batch, number);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    --active_;
    slot.number = number;
    slot.ready = true;
    done_.notify_all();
  }
}

// Makes batch `number` of the epoch.
void Loader::make(Batch& batch, int64_t number) const {
  const Dataset& data = *dataset_;
  const int64_t first = number * options_.batch_size;
  batch.size = std::min(options_.batch_size, data.size() - first);
  batch.indices.assign(order_.begin() + first, order_.begin() + first + batch.size);
  batch.labels.clear();
  if (!data.multi_label()) {
    for (const int64_t index : batch.indices) batch.labels.push_back(data.label(index));
  }
  if (options_.mixup_alpha > 0) {
    RandomStream random(options_.seed, RandomPurpose::kMixup, static_cast<uint32_t>(epoch_),
                        static_cast<uint32_t>(number));
    batch.share = static_cast<float>(draw_beta(options_.mixup_alpha, options_.mixup_alpha, random));
    batch.partners.resize(batch.size);
    std::iota(batch.partners.begin(), batch.partners.end(), 0);
    shuffle(batch.partners.begin(), batch.partners.end(), random);
  }
  batch.views.clear();
  uint8_t* pixels = batch.pixels.data();
  for (const int64_t index : batch.indices) {
    if (cancelled_) return;
    const RandomStream random(options_.seed, RandomPurpose::kAugmentation,
                              static_cast<uint32_t>(epoch_), static_cast<uint32_t>(index));
    if (options_.views) {
      const ShiftAndFlip change =
          options_.augment ? data.draw_change(random) : ShiftAndFlip{0, 0, false};
      batch.views.push_back({index, static_cast<int32_t>(change.down),
                             static_cast<int32_t>(change.right), change.flip});
      continue;
    }
    if (options_.augment) {
      data.read_augmented(index, random, pixels);
    } else {
      data.read(index, pixels);
    }
    pixels += data.image_bytes();
  }
}

}  // namespace basin::data
