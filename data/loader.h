// Batches of a data set, made ahead of time by worker threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "kernels/augment/call.h"

namespace basin::data {

// How far a loader makes a batch.
enum class BatchForm {
  kValues,  // to what a network takes
  kPixels,  // images as bytes, not normalised, shuffled or mixed: a device does it (Augment)
  kViews,   // where in the bytes of the whole set, one image behind the other, they are
};

struct LoaderOptions {
  int64_t batch_size = 32;
  uint64_t seed = 1;           // of order, augmentation and mixup
  bool shuffle = false;        // a new order every epoch
  bool augment = false;        // Dataset::read_augmented instead of read
  float mixup_alpha = 0;       // mixup with share ~ Beta(alpha, alpha); 0: none
  int64_t block_size = 0;      // block shuffle with blocks of this side; 0: none
  bool pixel_shuffle = false;  // permute all values of an image
  uint64_t shuffle_seed = 0;   // of the block or pixel permutation, as NumPy takes it: < 2^32
  int workers = 1;             // threads that make batches; 0: next() makes them itself
  int batches_ahead = 2;       // how many batches the workers may be ahead of next()
  bool drop_last = false;      // leave out a last batch that is not full
  BatchForm form = BatchForm::kValues;
};

// `options` with workers for a program that computes on `threads` threads: one where the images
// lie in memory, for their batches cost little; where they are decoded from files one a thread, as
// far as the batches being made fit 1 GiB.
LoaderOptions with_workers(LoaderOptions options, const Dataset& dataset, int threads);

struct Batch {
  int64_t size = 0;                // images; at most batch_size
  const float* images = nullptr;   // [batch_size, height, width, 3], normalised, 64-byte aligned;
                                   // rows from `size` on are zero
  const float* targets = nullptr;  // [batch_size, classes], likewise; soft after mixup
  std::vector<int32_t> labels;     // [size], before mixup; empty for multi-label sets
  std::vector<int64_t> indices;    // [size], in the data set, before mixup
  // With mixup: row n becomes share times itself and 1 - share times row partners[n], [size].
  std::vector<int32_t> partners;
  float share = 1;
  // Of the other forms, without `images` and `targets`; only one of the two is not null.
  const uint8_t* pixels = nullptr;   // [size, height, width, 3]
  const ImageView* views = nullptr;  // [size]
};

// A batch is a function of (data set, options, epoch, number of the batch), whatever `workers` and
// `batches_ahead` are. Use from one thread. Memory is taken at construction, not per batch
// (decoding image files excepted).
class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options);
  ~Loader();  // waits for the images in work, not for whole batches
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches_per_epoch() const;
  const Dataset& dataset() const;
  const LoaderOptions& options() const;
  // Value i of a shuffled image is value map[i]; empty: not shuffled.
  const std::vector<uint32_t>& shuffle_map() const;

  // Begins `epoch` (0 <= epoch < 2^24) at batch `first_batch`; what is left of an epoch under way
  // is dropped. first_batch == batches_per_epoch(): next() returns null at once.
  void start_epoch(int64_t epoch, int64_t first_batch = 0);

  // The next batch, or null at the end of the epoch; valid until the next call of next() or
  // start_epoch(). Throws what the data set threw while this batch was made; the epoch cannot be
  // continued then.
  const Batch* next();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace basin::data
