// The images of a data set batch by batch, read ahead of time by worker threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "data/dataset.h"
#include "kernels/augment/call.h"

namespace basin::data {

struct LoaderOptions {
  int64_t batch_size = 32;
  uint64_t seed = 1;           // of order, augmentation and mixup
  bool shuffle = false;        // a new order every epoch
  bool augment = false;        // Dataset::read_augmented instead of read
  float mixup_alpha = 0;       // mixup with share ~ Beta(alpha, alpha); 0: none
  int64_t block_size = 0;      // block shuffle with blocks of this side; 0: none
  bool pixel_shuffle = false;  // permute all values of an image
  uint64_t shuffle_seed = 0;   // of the block or pixel permutation, as NumPy takes it: < 2^32
  int workers = 1;             // threads that make batches
  int batches_ahead = 2;       // how many batches the workers may be ahead of next()
  bool views = false;          // Batch::views instead of Batch::pixels
};

// `options` with workers for a program that computes on `threads` threads: one where the images
// lie in memory, since their batches cost little; one per thread where they are decoded from files,
// as long as the batches in the making fit in 1 GiB.
LoaderOptions with_workers(LoaderOptions options, const Dataset& dataset, int threads);

// Images as the data set gives them. A device normalises, shuffles and mixes them (BatchFeed).
struct Batch {
  int64_t size = 0;              // images; at most batch_size
  std::vector<int64_t> indices;  // [size], in the data set
  std::vector<int32_t> labels;   // [size]; empty for multi-label sets
  // With mixup: row n becomes share times itself and 1 - share times row partners[n], [size].
  std::vector<int32_t> partners;
  float share = 1;
  // One of the two, the other is empty.
  std::vector<uint8_t> pixels;   // [batch_size, height, width, 3]; the first `size` are the images
  std::vector<ImageView> views;  // [size], of the images of the whole set one after the other
};

// A batch is a function of (data set, options, epoch, number of the batch), whatever `workers` and
// `batches_ahead` are. Use from one thread. Memory is taken at construction, not per batch
// (decoding image files excepted).
class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options);
  ~Loader();  // waits for the images being read, not for whole batches
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches_per_epoch() const { return batches_; }
  const LoaderOptions& options() const { return options_; }

  // Begins `epoch` (0 <= epoch < 2^24) at batch `first_batch`; what is left of an epoch under way
  // is dropped. first_batch == batches_per_epoch(): next() returns null at once.
  void start_epoch(int64_t epoch, int64_t first_batch = 0);

  // The next batch, or null at the end of the epoch; valid until the next call of next() or
  // start_epoch(). Throws what the data set threw while this batch was made; the epoch cannot be
  // continued then.
  const Batch* next();

 private:
  // A place in the ring: a batch and what is known of it.
  struct Slot {
    Batch batch;
    int64_t number = -1;  // which batch it holds when it is ready
    bool ready = false;
    std::exception_ptr error;
  };

  void work(const std::stop_token& stop);
  void make(Batch& batch, int64_t number) const;

  const std::shared_ptr<const Dataset> dataset_;
  const LoaderOptions options_;
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
  std::vector<std::jthread> workers_;    // last: stopped and joined before anything else goes
};

}  // namespace basin::data
