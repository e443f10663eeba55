// Device memory for the batches of a loader.
#pragma once

#include "data/loader.h"
#include "engine/tensor.h"
#include "kernels/stream.h"

namespace basin {

// Images, normalised [N,H,W,3], targets [N,classes], and the class of each image, i32 [N], before
// mixup; empty for multi-label sets.
struct BatchTensors {
  Tensor images, targets, labels;
};

// Room for one batch of up to `batch_size` images, at the same addresses every time.
class BatchMemory {
 public:
  BatchMemory(const data::Dataset& dataset, int64_t batch_size, Stream& stream);
  // Copies the batch there. What was there before is gone.
  BatchTensors fill(const data::Batch& batch) const;

 private:
  Stream& stream_;
  int64_t height_, width_, classes_;
  std::shared_ptr<Storage> images_, targets_, labels_;
};

}  // namespace basin
