// Uploading a data set.
#include "data/resident_images.h"

#include <algorithm>

#include "data/loader.h"
#include "kernels/base/parallel.h"
#include "kernels/device/memory.h"
#include "kernels/device/upload.h"

namespace basin::data {
namespace {

constexpr int64_t kBlockBytes = int64_t{16} << 20;

std::shared_ptr<const Storage> upload_images(const std::shared_ptr<const Dataset>& dataset,
                                             Stream& stream) {
  const int64_t image_bytes = dataset->image_bytes();
  auto images = allocate_state(dataset->size() * image_bytes, stream);
  LoaderOptions options;
  options.batch_size = std::clamp<int64_t>(kBlockBytes / image_bytes, 1, dataset->size());
  Loader loader(dataset, with_workers(options, *dataset, threads()));
  UploadBuffer buffer(options.batch_size * image_bytes, stream);
  auto* to = static_cast<uint8_t*>(images->data());
  loader.start_epoch(0);
  while (const Batch* batch = loader.next()) {
    const int64_t bytes = batch->size * image_bytes;
    std::copy_n(batch->pixels.data(), bytes, reinterpret_cast<uint8_t*>(buffer.begin()));
    stream.copy(to, buffer.upload(bytes), bytes);
    to += bytes;
  }
  return images;
}

}  // namespace

std::shared_ptr<const Storage> ResidentImages::of(const std::shared_ptr<const Dataset>& dataset,
                                                  Stream& stream) {
  std::erase_if(
      known_, [](const Known& known) { return known.dataset.expired() || known.images.expired(); });
  int64_t bytes = dataset->size() * dataset->image_bytes();
  for (const Known& known : known_) {
    auto images = known.images.lock();
    if (known.dataset.lock() == dataset) return images;
    bytes += images->bytes();
  }
  if (bytes > limit_bytes_.value_or(memory_bytes(stream.device()) / 4)) return nullptr;
  auto images = upload_images(dataset, stream);
  known_.push_back({dataset, images});
  return images;
}

}  // namespace basin::data
