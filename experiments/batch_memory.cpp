// From a loader's batch to tensors on the device.
#include "experiments/batch_memory.h"

#include "engine/transfer.h"

namespace basin {

BatchMemory::BatchMemory(const data::Dataset& dataset, int64_t batch_size, Stream& stream)
    : stream_(stream),
      height_(dataset.height()),
      width_(dataset.width()),
      classes_(dataset.classes()),
      images_(allocate_state(batch_size * height_ * width_ * 3 * 4, stream)),
      targets_(allocate_state(batch_size * classes_ * 4, stream)),
      labels_(allocate_state(batch_size * 4, stream)) {}

BatchTensors BatchMemory::fill(const data::Batch& batch) const {
  BatchTensors tensors{Tensor(images_, {batch.size, height_, width_, 3}, DType::kF32),
                       Tensor(targets_, {batch.size, classes_}, DType::kF32),
                       {}};
  upload(batch.images, tensors.images, stream_);
  upload(batch.targets, tensors.targets, stream_);
  if (!batch.labels.empty()) {
    tensors.labels = Tensor(labels_, {batch.size}, DType::kI32);
    upload(batch.labels.data(), tensors.labels, stream_);
  }
  return tensors;
}

}  // namespace basin
