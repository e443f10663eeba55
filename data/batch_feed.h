// Batches of a data set in memory of the device that a network runs on.
#pragma once

#include <memory>

#include "data/loader.h"
#include "data/resident_images.h"
#include "engine/tensor.h"
#include "kernels/device/stream.h"
#include "kernels/device/upload.h"

namespace basin::data {

// Images, normalised, f32 or bf16 [N,H,W,3], targets f32 [N,classes], and the class of each image
// before mixup, i32 [N]; empty for multi-label sets.
struct BatchTensors {
  Tensor images, targets, labels;
};

// Room for one batch of up to `batch_size` images, at the same addresses every time.
class BatchMemory {
 public:
  BatchMemory(const Dataset& dataset, int64_t batch_size, Stream& stream,
              DType images = DType::kF32);
  // Of the first `size` images.
  BatchTensors tensors(int64_t size) const;
  // Copies a batch of values there; of f32 images.
  BatchTensors fill(const Batch& batch, Stream& stream) const;

 private:
  bool multi_label_;
  DType dtype_;
  int64_t height_, width_, classes_;
  std::shared_ptr<Storage> images_, targets_, labels_;
};

// A loader, and what brings its batches to the device. On the CPU the loader's threads make the
// values. On other devices the values are made there, from bytes: where the set's bytes fit in
// device memory (ResidentImages), and no image is augmented while it is decoded, from those, and a
// batch is but a list of views; else from the bytes of the batch, which are copied while the step
// before runs. The values are the same, to the bit without mixup.
class BatchFeed {
 public:
  // Order, augmentation, shuffle and mixup are those of `options`; form and workers are chosen
  // here. `images`: f32, or what a network takes on a device that makes the values, bf16, rounded
  // once. `stream` outlives this.
  BatchFeed(std::shared_ptr<const Dataset> dataset, LoaderOptions options, Stream& stream,
            ResidentImages& resident, DType images = DType::kF32);

  const LoaderOptions& options() const { return loader_->options(); }
  int64_t batches_per_epoch() const { return loader_->batches_per_epoch(); }
  // Whether all images lie in device memory.
  bool resident() const { return images_ != nullptr; }

  // As Loader::start_epoch().
  void start_epoch(int64_t epoch, int64_t first_batch = 0) {
    loader_->start_epoch(epoch, first_batch);
  }
  // Queues the making of the next batch; null at the end of the epoch. The tensors are at the same
  // addresses every time: calls that read the batch before must have been queued on the stream.
  const BatchTensors* next();
  // What the loader drew for it: size, indices and labels.
  const Batch& drawn() const { return *drawn_; }

 private:
  void make_on_device();

  std::shared_ptr<const Dataset> dataset_;
  Stream& stream_;
  std::shared_ptr<const Storage> images_;  // null: not resident
  std::unique_ptr<Loader> loader_;
  BatchMemory memory_;
  const Batch* drawn_ = nullptr;
  BatchTensors tensors_;
  // Of devices other than the CPU: what goes there for each batch, and what stays there.
  std::unique_ptr<UploadBuffer> buffer_;
  std::shared_ptr<Storage> map_, rows_;  // of the shuffle, or null; 0, 1, 2, ...
};

}  // namespace basin::data
