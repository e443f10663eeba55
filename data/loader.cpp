// The loader: a ring of batches that workers fill in order of claim and next() hands out in order.
#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "data/mixup.h"
#include "data/shuffle.h"
#include "data/views.h"
#include "kernels/base/check.h"
#include "kernels/base/random.h"

namespace basin::data {

namespace {

struct Free {
  void operator()(float* pointer) const { std::free(pointer); }
};
using AlignedFloats = std::unique_ptr<float[], Free>;

AlignedFloats aligned_floats(int64_t count) {
  constexpr size_t kAlignment = 64;
  const size_t bytes =
      (static_cast<size_t>(count) * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  auto* memory = static_cast<float*>(std::aligned_alloc(kAlignment, bytes));
  BASIN_CHECK(memory, "no memory for a batch of ", bytes, " bytes; use a smaller batch size");
  std::fill_n(memory, bytes / sizeof(float), 0.0f);
  return AlignedFloats(memory);
}

constexpr int kMostWorkers = 256;
constexpr int64_t kBatchMemory = int64_t{1} << 30;

// A place in the ring: a batch and the memory to make it.
struct Slot {
  Batch batch;
  AlignedFloats images, targets;
  AlignedFloats plain_images, plain_targets;  // before mixup; only with mixup
  std::vector<uint8_t> pixels;                // one image, or those of the batch
  std::vector<float> values;                  // one normalised image; only with a shuffle
  std::vector<ImageView> views;
  int64_t number = -1;  // which batch it holds when it is ready
  bool ready = false;
  std::exception_ptr error;
};

}  // namespace

LoaderOptions with_workers(LoaderOptions options, const Dataset& dataset, int threads) {
  options.workers = 1;
  if (!dataset.in_memory()) {
    int64_t bytes = options.batch_size * dataset.image_bytes();
    if (options.form == BatchForm::kValues) bytes *= options.mixup_alpha > 0 ? 8 : 4;
    options.workers = static_cast<int>(
        std::clamp<int64_t>(kBatchMemory / bytes, 1, std::clamp(threads, 1, kMostWorkers)));
  }
  options.batches_ahead = std::max(2, options.workers);
  return options;
}

class Loader::Implementation {
 public:
  Implementation(std::shared_ptr<const Dataset> dataset, LoaderOptions options)
      : dataset_(std::move(dataset)), options_(options) {
    BASIN_CHECK(dataset_ && dataset_->size() > 0, "a loader needs a data set with images");
    const Dataset& data = *dataset_;
    BASIN_CHECK(options_.batch_size >= 1, "batch size is ", options_.batch_size);
    BASIN_CHECK(options_.workers >= 0 && options_.workers <= kMostWorkers,
                "data workers: ", options_.workers, ", expected 0..", kMostWorkers);
    BASIN_CHECK(options_.batches_ahead >= 1 || options_.workers == 0,
                "batches ahead: ", options_.batches_ahead, "; workers need at least 1");
    BASIN_CHECK(options_.mixup_alpha >= 0, "mixup alpha is ", options_.mixup_alpha,
                "; expected 0 (none) or more");
    BASIN_CHECK(data.size() < int64_t{1} << 32, data.name(), ": more than 2^32 images");
    BASIN_CHECK(options_.block_size == 0 || !options_.pixel_shuffle,
                "block shuffle and pixel shuffle exclude each other");
    BASIN_CHECK(options_.shuffle_seed < uint64_t{1} << 32, "shuffle seed ", options_.shuffle_seed,
                " is not less than 2^32, which NumPy's RandomState demands");
    BASIN_CHECK(options_.form != BatchForm::kViews || !options_.augment || data.in_memory(),
                data.name(), ": augmented images in files are no views of images in memory");
    const auto shuffle_seed = static_cast<uint32_t>(options_.shuffle_seed);
    if (options_.block_size != 0) {
      shuffle_map_ =
          block_shuffle_map(data.height(), data.width(), options_.block_size, shuffle_seed);
    } else if (options_.pixel_shuffle) {
      shuffle_map_ = pixel_shuffle_map(data.height(), data.width(), shuffle_seed);
    }
    for (int c = 0; c < 3; ++c) {
      BASIN_CHECK(data.stddev()[c] > 0, data.name(), ": standard deviation of channel ", c, " is ",
                  data.stddev()[c]);
      for (int pixel = 0; pixel < 256; ++pixel) {
        normalised_[c][pixel] =
            (static_cast<float>(pixel) / 255.0f - data.mean()[c]) / data.stddev()[c];
      }
    }
    order_.resize(data.size());
    batches_ = options_.drop_last ? data.size() / options_.batch_size
                                  : (data.size() - 1) / options_.batch_size + 1;
    next_claim_ = next_out_ = batches_;  // nothing to do before start_epoch()
    // One slot more than are made ahead: next() has lent one to its caller.
    slots_.resize(options_.workers == 0 ? 1 : options_.batches_ahead + 1);
    for (Slot& slot : slots_) allocate(slot);
    for (int i = 0; i < options_.workers; ++i) {
      workers_.emplace_back([this](std::stop_token stop) { work(stop); });
    }
  }

  ~Implementation() {
    const std::scoped_lock lock(mutex_);
    cancelled_ = true;
    // workers_ is the last member: its threads are stopped and joined before anything else goes.
  }

  int64_t batches() const { return batches_; }
  const Dataset& dataset() const { return *dataset_; }
  const LoaderOptions& options() const { return options_; }
  const std::vector<uint32_t>& shuffle_map() const { return shuffle_map_; }

  void start_epoch(int64_t epoch, int64_t first_batch) {
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

  const Batch* next() {
    if (next_out_ == batches_) return nullptr;
    Slot& slot = slots_[next_out_ % static_cast<int64_t>(slots_.size())];
    if (options_.workers == 0) {
      fill(slot, next_out_);
    } else {
      std::unique_lock lock(mutex_);
      // The slot lent before this call is free now: one more batch may be claimed.
      claimable_ = next_out_ + static_cast<int64_t>(slots_.size());
      work_.notify_all();
      done_.wait(lock, [&] { return slot.ready && slot.number == next_out_; });
    }
    if (slot.error) std::rethrow_exception(slot.error);
    ++next_out_;
    return &slot.batch;
  }

 private:
  void allocate(Slot& slot) const {
    const int64_t rows = options_.batch_size;
    const int64_t image_size = dataset_->image_bytes(), classes = dataset_->classes();
    slot.batch.labels.reserve(rows);
    slot.batch.indices.reserve(rows);
    slot.batch.partners.reserve(rows);
    if (options_.form == BatchForm::kViews) {
      slot.views.resize(rows);
      slot.batch.views = slot.views.data();
      return;
    }
    if (options_.form == BatchForm::kPixels) {
      slot.pixels.resize(rows * image_size);
      slot.batch.pixels = slot.pixels.data();
      return;
    }
    slot.images = aligned_floats(rows * image_size);
    slot.targets = aligned_floats(rows * classes);
    if (options_.mixup_alpha > 0) {
      slot.plain_images = aligned_floats(rows * image_size);
      slot.plain_targets = aligned_floats(rows * classes);
    }
    slot.pixels.resize(image_size);
    if (!shuffle_map_.empty()) slot.values.resize(image_size);
    slot.batch.images = slot.images.get();
    slot.batch.targets = slot.targets.get();
  }

  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (work_.wait(lock, stop, [&] { return next_claim_ < std::min(batches_, claimable_); })) {
      const int64_t number = next_claim_++;
      Slot& slot = slots_[number % static_cast<int64_t>(slots_.size())];
      slot.ready = false;
      ++active_;
      lock.unlock();
      fill(slot, number);
      lock.lock();
      --active_;
      slot.number = number;
      slot.ready = true;
      done_.notify_all();
    }
  }

  // Makes batch `number` of the epoch in `slot`; an exception is kept in the slot.
  void fill(Slot& slot, int64_t number) {
    slot.error = nullptr;
    try {
      make(slot, number);
    } catch (...) {
      slot.error = std::current_exception();
    }
  }

  void make(Slot& slot, int64_t number) const {
    const Dataset& data = *dataset_;
    Batch& batch = slot.batch;
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
      batch.share =
          static_cast<float>(draw_beta(options_.mixup_alpha, options_.mixup_alpha, random));
      batch.partners.resize(batch.size);
      std::iota(batch.partners.begin(), batch.partners.end(), 0);
      shuffle(batch.partners.begin(), batch.partners.end(), random);
    }
    for (int64_t row = 0; row < batch.size; ++row) {
      if (cancelled_) return;
      if (options_.form == BatchForm::kViews) {
        slot.views[row] = view(batch.indices[row]);
      } else if (options_.form == BatchForm::kPixels) {
        read(batch.indices[row], slot.pixels.data() + row * data.image_bytes());
      } else {
        make_values(slot, row);
      }
    }
    if (options_.form == BatchForm::kValues) mix_and_fill_up(slot);
  }

  RandomStream augmentation_of(int64_t index) const {
    return {options_.seed, RandomPurpose::kAugmentation, static_cast<uint32_t>(epoch_),
            static_cast<uint32_t>(index)};
  }

  ImageView view(int64_t index) const {
    const ShiftAndFlip change = options_.augment ? dataset_->draw_change(augmentation_of(index))
                                                 : ShiftAndFlip{0, 0, false};
    return shifted_view(index, dataset_->height(), dataset_->width(), change);
  }

  void read(int64_t index, uint8_t* pixels) const {
    if (options_.augment) {
      dataset_->read_augmented(index, augmentation_of(index), pixels);
    } else {
      dataset_->read(index, pixels);
    }
  }

  // Row `row` of images and targets, before mixup.
  void make_values(Slot& slot, int64_t row) const {
    const int64_t image_size = dataset_->image_bytes(), classes = dataset_->classes();
    const bool mixup = options_.mixup_alpha > 0;
    const int64_t index = slot.batch.indices[row];
    read(index, slot.pixels.data());
    float* image = (mixup ? slot.plain_images : slot.images).get() + row * image_size;
    float* values = shuffle_map_.empty() ? image : slot.values.data();
    for (int64_t i = 0; i < image_size; i += 3) {
      for (int64_t c = 0; c < 3; ++c) values[i + c] = normalised_[c][slot.pixels[i + c]];
    }
    for (size_t i = 0; i < shuffle_map_.size(); ++i) image[i] = values[shuffle_map_[i]];
    dataset_->target(index, (mixup ? slot.plain_targets : slot.targets).get() + row * classes);
  }

  // Mixup, and zeros in the rows behind the last image.
  void mix_and_fill_up(Slot& slot) const {
    const int64_t image_size = dataset_->image_bytes(), classes = dataset_->classes();
    const Batch& batch = slot.batch;
    if (options_.mixup_alpha > 0) {
      mix_rows(slot.plain_images.get(), slot.images.get(), image_size, batch.partners, batch.share);
      mix_rows(slot.plain_targets.get(), slot.targets.get(), classes, batch.partners, batch.share);
    }
    const int64_t missing = options_.batch_size - batch.size;
    std::fill_n(slot.images.get() + batch.size * image_size, missing * image_size, 0.0f);
    std::fill_n(slot.targets.get() + batch.size * classes, missing * classes, 0.0f);
  }

  const std::shared_ptr<const Dataset> dataset_;
  const LoaderOptions options_;
  std::vector<uint32_t> shuffle_map_;  // empty: none
  float normalised_[3][256];
  int64_t batches_ = 0;
  int64_t next_out_ = 0;  // the batch next() returns next; the caller's thread only

  // Written by start_epoch() while no worker is active.
  std::vector<int64_t> order_;
  int64_t epoch_ = 0;

  std::mutex mutex_;  // guards what follows, and `number` and `ready` of the slots
  std::condition_variable_any work_, done_;
  int64_t next_claim_ = 0;               // the batch a worker takes next
  int64_t claimable_ = 0;                // batches from here on have no free slot yet
  int64_t active_ = 0;                   // batches being made
  std::atomic<bool> cancelled_ = false;  // read without the mutex
  std::vector<Slot> slots_;              // batch b lives in slot b % size
  std::vector<std::jthread> workers_;
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options)
    : implementation_(std::make_unique<Implementation>(std::move(dataset), options)) {}
Loader::~Loader() = default;
int64_t Loader::batches_per_epoch() const {
  return implementation_->batches();
}
const Dataset& Loader::dataset() const {
  return implementation_->dataset();
}
const LoaderOptions& Loader::options() const {
  return implementation_->options();
}
const std::vector<uint32_t>& Loader::shuffle_map() const {
  return implementation_->shuffle_map();
}
void Loader::start_epoch(int64_t epoch, int64_t first_batch) {
  implementation_->start_epoch(epoch, first_batch);
}
const Batch* Loader::next() {
  return implementation_->next();
}

}  // namespace basin::data
