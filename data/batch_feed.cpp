// Batches on the device: copied, or made there from bytes.
#include "data/batch_feed.h"

#include <algorithm>
#include <numeric>

#include "kernels/augment/call.h"
#include "kernels/base/parallel.h"
#include "kernels/device/run.h"

namespace basin::data {
namespace {

// What goes to the device for a batch lies in one block, each part at a multiple of 256 bytes; the
// pixels last, since only the images of a batch are copied.
struct BlockLayout {
  int64_t partners, labels, images, bytes;

  BlockLayout(const Dataset& dataset, int64_t batch_size, bool resident) {
    auto padded = [](int64_t size) { return (size + 255) / 256 * 256; };
    partners = padded(sizeof(float));  // behind the share
    labels = partners + padded(batch_size * 4);
    images = labels + padded(batch_size * (dataset.multi_label() ? dataset.classes() : 4));
    bytes = images + batch_size * image_bytes(dataset, resident);
  }
  static int64_t image_bytes(const Dataset& dataset, bool resident) {
    return resident ? static_cast<int64_t>(sizeof(ImageView)) : dataset.image_bytes();
  }
};

template <class T>
void put(std::byte* to, const T* from, int64_t count) {
  std::copy_n(reinterpret_cast<const std::byte*>(from), count * static_cast<int64_t>(sizeof(T)),
              to);
}

// A block of device memory with these values.
template <class T>
std::shared_ptr<Storage> on_device(const std::vector<T>& values, Stream& stream) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  auto storage = allocate_state(bytes, stream);
  stream.copy_to_device(storage->data(), values.data(), bytes);
  return storage;
}

}  // namespace

BatchMemory::BatchMemory(const Dataset& dataset, int64_t batch_size, Stream& stream, DType images)
    : multi_label_(dataset.multi_label()),
      dtype_(images),
      height_(dataset.height()),
      width_(dataset.width()),
      classes_(dataset.classes()),
      images_(allocate_state(batch_size * height_ * width_ * 3 * size_of(images), stream)),
      targets_(allocate_state(batch_size * classes_ * 4, stream)),
      labels_(allocate_state(batch_size * 4, stream)) {}

BatchTensors BatchMemory::tensors(int64_t size) const {
  return {Tensor(images_, {size, height_, width_, 3}, dtype_),
          Tensor(targets_, {size, classes_}, DType::kF32),
          multi_label_ ? Tensor() : Tensor(labels_, {size}, DType::kI32)};
}

BatchTensors BatchMemory::fill(const Batch& batch, Stream& stream) const {
  const BatchTensors to = tensors(batch.size);
  stream.copy_to_device(to.images.data<float>(), batch.images, to.images.size() * 4);
  stream.copy_to_device(to.targets.data<float>(), batch.targets, to.targets.size() * 4);
  if (to.labels) {
    stream.copy_to_device(to.labels.data<int32_t>(), batch.labels.data(), to.labels.size() * 4);
  }
  return to;
}

BatchFeed::BatchFeed(std::shared_ptr<const Dataset> dataset, LoaderOptions options, Stream& stream,
                     ResidentImages& resident, DType images)
    : dataset_(std::move(dataset)),
      stream_(stream),
      memory_(*dataset_, options.batch_size, stream, images) {
  options.form = BatchForm::kValues;
  if (stream.device() != Device::kCpu) {
    if (dataset_->in_memory() || !options.augment) images_ = resident.of(dataset_, stream);
    options.form = images_ ? BatchForm::kViews : BatchForm::kPixels;
  }
  options = with_workers(options, *dataset_, images_ ? 1 : threads());
  loader_ = std::make_unique<Loader>(dataset_, options);
  if (options.form == BatchForm::kValues) return;
  const BlockLayout layout(*dataset_, options.batch_size, images_ != nullptr);
  buffer_ = std::make_unique<UploadBuffer>(layout.bytes, stream);
  if (!loader_->shuffle_map().empty()) map_ = on_device(loader_->shuffle_map(), stream);
  std::vector<int64_t> rows(static_cast<size_t>(options.batch_size));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  rows_ = on_device(rows, stream);
}

const BatchTensors* BatchFeed::next() {
  drawn_ = loader_->next();
  if (!drawn_) return nullptr;
  if (buffer_) {
    make_on_device();
  } else {
    tensors_ = memory_.fill(*drawn_, stream_);
  }
  return &tensors_;
}

void BatchFeed::make_on_device() {
  const Batch& batch = *drawn_;
  const int64_t classes = dataset_->classes();
  const BlockLayout layout(*dataset_, options().batch_size, resident());
  std::byte* const block = buffer_->begin();
  put(block, &batch.share, 1);
  put(block + layout.partners, batch.partners.data(), static_cast<int64_t>(batch.partners.size()));
  if (dataset_->multi_label()) {
    std::vector<float> row(static_cast<size_t>(classes));
    for (int64_t n = 0; n < batch.size; ++n) {
      dataset_->target(batch.indices[n], row.data());
      for (int64_t c = 0; c < classes; ++c) {
        block[layout.labels + n * classes + c] = static_cast<std::byte>(row[c] > 0.5f);
      }
    }
  } else {
    put(block + layout.labels, batch.labels.data(), batch.size);
  }
  if (resident()) {
    put(block + layout.images, batch.views, batch.size);
  } else {
    put(block + layout.images, batch.pixels, batch.size * dataset_->image_bytes());
  }
  const std::byte* const there =
      buffer_->upload(layout.images + batch.size * BlockLayout::image_bytes(*dataset_, resident()));

  tensors_ = memory_.tensors(batch.size);
  const auto* share = reinterpret_cast<const float*>(there);
  const auto* partners =
      batch.partners.empty() ? nullptr : reinterpret_cast<const int32_t*>(there + layout.partners);
  auto make_images = [&]<class T>(T* images) {
    Augment<T> augment{};
    if (resident()) {
      augment.pixels = static_cast<const uint8_t*>(images_->data());
      augment.views = reinterpret_cast<const ImageView*>(there + layout.images);
    } else {
      augment.pixels = reinterpret_cast<const uint8_t*>(there + layout.images);
    }
    if (map_) augment.map = static_cast<const uint32_t*>(map_->data());
    augment.partners = partners;
    augment.share = share;
    augment.mean = dataset_->mean();
    augment.stddev = dataset_->stddev();
    augment.y = images;
    augment.batch = batch.size;
    augment.height = dataset_->height();
    augment.width = dataset_->width();
    run(augment, stream_);
  };
  if (tensors_.images.dtype() == DType::kBF16) {
    make_images(tensors_.images.data<Bf16>());
  } else {
    make_images(tensors_.images.data<float>());
  }

  MixTargets mix{};
  if (dataset_->multi_label()) {
    mix.label_rows = reinterpret_cast<const uint8_t*>(there + layout.labels);
  } else {
    mix.labels = reinterpret_cast<const int32_t*>(there + layout.labels);
    stream_.copy(tensors_.labels.data<int32_t>(), mix.labels, batch.size * 4);
  }
  mix.indices = static_cast<const int64_t*>(rows_->data());  // labels are those of the batch
  mix.partners = partners;
  mix.share = share;
  mix.targets = tensors_.targets.data<float>();
  mix.batch = batch.size;
  mix.classes = classes;
  run(mix, stream_);
}

}  // namespace basin::data
