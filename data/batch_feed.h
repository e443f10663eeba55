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

// Makes batches on the device, from bytes. Where the bytes of the set fit in device memory
// (ResidentImages), and no image is augmented while it is decoded, a batch is a list of views of
// them. Otherwise the bytes of the batch are copied while the step before runs; so it is on the CPU
// for sets in memory, which need no second copy there. The values are the same on every device, to
// the bit without mixup.
class BatchFeed {
 public:
  // Workers and views are chosen here. `images`: f32, or, for a network in bf16 on a device other
  // than the CPU, bf16, rounded once. `stream` outlives this.
  BatchFeed(std::shared_ptr<const Dataset> dataset, LoaderOptions options, Stream& stream,
            ResidentImages& resident, DType images = DType::kF32);

  const LoaderOptions& options() const { return loader_->options(); }
  int64_t batches_per_epoch() const { return loader_->batches_per_epoch(); }
  // Whether all images lie in device memory.
  bool resident() const { return resident_ != nullptr; }

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
  // What goes to the device for a batch lies in one block; these are the offsets of its parts. The
  // images come last, since only those of the batch are copied.
  struct Layout {
    int64_t partners, labels, images, image_bytes, bytes;
  };
  Layout layout() const;
  void fill_block(std::byte* block) const;

  const std::shared_ptr<const Dataset> dataset_;
  Stream& stream_;
  std::shared_ptr<const Storage> resident_;  // null: not resident
  std::shared_ptr<const Storage> map_;       // of the block or pixel shuffle, or null
  std::unique_ptr<Loader> loader_;
  Layout layout_;
  UploadBuffer buffer_;
  DType dtype_;
  std::shared_ptr<Storage> images_, targets_, labels_;
  const Batch* drawn_ = nullptr;
  BatchTensors tensors_;
};

}  // namespace basin::data
