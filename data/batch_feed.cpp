// Batches made on the device from bytes.
#include "data/batch_feed.h"

#include <algorithm>

#include "data/shuffle.h"
#include "kernels/augment/call.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"
#include "kernels/device/run.h"

namespace basin::data {
namespace {

template <class T>
void put(std::byte* to, const T* from, int64_t count) {
  std::copy_n(reinterpret_cast<const std::byte*>(from), count * static_cast<int64_t>(sizeof(T)),
              to);
}

// Value i of a shuffled image is value map[i] of the image; empty: no shuffle.
std::vector<uint32_t> shuffle_map(const Dataset& dataset, const LoaderOptions& options) {
  BASIN_CHECK(options.block_size == 0 || !options.pixel_shuffle,
              "block shuffle and pixel shuffle exclude each other");
  BASIN_CHECK(options.shuffle_seed < uint64_t{1} << 32, "shuffle seed ", options.shuffle_seed,
              " is not less than 2^32, which NumPy's RandomState demands");
  const auto seed = static_cast<uint32_t>(options.shuffle_seed);
  const int64_t height = dataset.height(), width = dataset.width();
  if (options.block_size != 0) return block_shuffle_map(height, width, options.block_size, seed);
  if (options.pixel_shuffle) return pixel_shuffle_map(height, width, seed);
  return {};
}

// The map in device memory, null where it is empty.
std::shared_ptr<const Storage> on_device(const std::vector<uint32_t>& map, Stream& stream) {
  if (map.empty()) return nullptr;
  const auto bytes = static_cast<int64_t>(map.size() * sizeof(uint32_t));
  auto storage = allocate_state(bytes, stream);
  stream.copy_to_device(storage->data(), map.data(), bytes);
  return storage;
}

std::shared_ptr<const Storage> resident_images(const std::shared_ptr<const Dataset>& dataset,
                                               bool augment, Stream& stream,
                                               ResidentImages& resident) {
  const bool there_already = stream.device() == Device::kCpu && dataset->in_memory();
  const bool augmented_in_reading = augment && !dataset->in_memory();
  return there_already || augmented_in_reading ? nullptr : resident.of(dataset, stream);
}

std::unique_ptr<Loader> make_loader(const std::shared_ptr<const Dataset>& dataset,
                                    LoaderOptions options, bool resident) {
  for (int c = 0; c < 3; ++c) {
    BASIN_CHECK(dataset->stddev()[c] > 0, dataset->name(), ": standard deviation of channel ", c,
                " is ", dataset->stddev()[c]);
  }
  options.views = resident;
  return std::make_unique<Loader>(dataset,
                                  with_workers(options, *dataset, resident ? 1 : threads()));
}

}  // namespace

BatchFeed::BatchFeed(std::shared_ptr<const Dataset> dataset, LoaderOptions options, Stream& stream,
                     ResidentImages& resident, DType images)
    : dataset_(std::move(dataset)),
      stream_(stream),
      resident_(resident_images(dataset_, options.augment, stream, resident)),
      map_(on_device(shuffle_map(*dataset_, options), stream)),
      loader_(make_loader(dataset_, options, resident_ != nullptr)),
      layout_(layout()),
      buffer_(layout_.bytes, stream),
      dtype_(images),
      images_(
          allocate_state(options.batch_size * dataset_->image_bytes() * size_of(images), stream)),
      targets_(allocate_state(options.batch_size * dataset_->classes() * 4, stream)),
      labels_(allocate_state(options.batch_size * 4, stream)) {}

BatchFeed::Layout BatchFeed::layout() const {
  auto padded = [](int64_t bytes) { return (bytes + 255) / 256 * 256; };
  const int64_t rows = options().batch_size;
  Layout layout{};
  layout.partners = padded(sizeof(float));  // after the share
  layout.labels = layout.partners + padded(rows * 4);
  layout.images =
      layout.labels + padded(rows * (dataset_->multi_label() ? dataset_->classes() : 4));
  layout.image_bytes =
      resident() ? static_cast<int64_t>(sizeof(ImageView)) : dataset_->image_bytes();
  layout.bytes = layout.images + rows * layout.image_bytes;
  return layout;
}

void BatchFeed::fill_block(std::byte* block) const {
  const Batch& batch = *drawn_;
  put(block, &batch.share, 1);
  put(block + layout_.partners, batch.partners.data(), static_cast<int64_t>(batch.partners.size()));
  put(block + layout_.labels, batch.labels.data(), static_cast<int64_t>(batch.labels.size()));
  if (dataset_->multi_label()) {
    const int64_t classes = dataset_->classes();
    std::vector<float> row(static_cast<size_t>(classes));
    for (int64_t n = 0; n < batch.size; ++n) {
      dataset_->target(batch.indices[n], row.data());
      for (int64_t c = 0; c < classes; ++c) {
        block[layout_.labels + n * classes + c] = static_cast<std::byte>(row[c] > 0.5f);
      }
    }
  }
  if (resident()) {
    put(block + layout_.images, batch.views.data(), batch.size);
  } else {
    put(block + layout_.images, batch.pixels.data(), batch.size * dataset_->image_bytes());
  }
}

const BatchTensors* BatchFeed::next() {
  drawn_ = loader_->next();
  if (!drawn_) return nullptr;
  const Batch& batch = *drawn_;
  const bool multi_label = dataset_->multi_label();
  const int64_t height = dataset_->height(), width = dataset_->width();
  tensors_ = {Tensor(images_, {batch.size, height, width, 3}, dtype_),
              Tensor(targets_, {batch.size, dataset_->classes()}, DType::kF32),
              multi_label ? Tensor() : Tensor(labels_, {batch.size}, DType::kI32)};

  fill_block(buffer_.begin());
  const std::byte* const block = buffer_.upload(layout_.images + batch.size * layout_.image_bytes);
  const auto* share = reinterpret_cast<const float*>(block);
  const auto* partners =
      batch.partners.empty() ? nullptr : reinterpret_cast<const int32_t*>(block + layout_.partners);
  const std::byte* const images = block + layout_.images;
  auto make_images = [&]<class T>(T* y) {
    run(Augment<T>{.pixels = resident() ? static_cast<const uint8_t*>(resident_->data())
                                        : reinterpret_cast<const uint8_t*>(images),
                   .views = resident() ? reinterpret_cast<const ImageView*>(images) : nullptr,
                   .map = map_ ? static_cast<const uint32_t*>(map_->data()) : nullptr,
                   .partners = partners,
                   .share = share,
                   .mean = dataset_->mean(),
                   .stddev = dataset_->stddev(),
                   .y = y,
                   .batch = batch.size,
                   .height = height,
                   .width = width},
        stream_);
  };
  if (dtype_ == DType::kBF16) {
    make_images(tensors_.images.data<Bf16>());
  } else {
    make_images(tensors_.images.data<float>());
  }

  const std::byte* const labels = block + layout_.labels;
  if (!multi_label) stream_.copy(tensors_.labels.data<int32_t>(), labels, batch.size * 4);
  run(MixTargets{.labels = multi_label ? nullptr : reinterpret_cast<const int32_t*>(labels),
                 .label_rows = multi_label ? reinterpret_cast<const uint8_t*>(labels) : nullptr,
                 .partners = partners,
                 .share = share,
                 .targets = tensors_.targets.data<float>(),
                 .batch = batch.size,
                 .classes = dataset_->classes()},
      stream_);
  return &tensors_;
}

}  // namespace basin::data
