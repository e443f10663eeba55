// Batches made on the CPU and on the emulated device against their definition, and where the bytes
// of a set lie.
#include "data/batch_feed.h"

#include <algorithm>
#include <cmath>

#include "data/shuffle.h"
#include "data/subset.h"
#include "kernels/device/memory.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

template <class T>
std::vector<T> download(const Tensor& from, Stream& stream) {
  std::vector<T> elements(from.size());
  stream.copy_to_host(elements.data(), from.data<T>(), from.size() * int64_t{sizeof(T)});
  return elements;
}

// As noise_dataset, with up to `labels` labels an image.
std::shared_ptr<const Dataset> multi_label_dataset(int64_t size, int64_t side, int64_t labels) {
  const auto noise = noise_dataset(size, side, labels);
  Bytes rows;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t label = 0; label < labels; ++label) rows.push_back((i >> label) % 2);
  }
  return std::make_shared<const ArrayDataset>(
      square_images("multi-label noise", side, labels, true), rows, read_images(*noise));
}

// The same images, as if each had to be decoded.
class Decoded : public Dataset {
 public:
  explicit Decoded(std::shared_ptr<const Dataset> images)
      : Dataset(square_images("decoded", images->height(), 1),
                std::vector<int32_t>(images->size(), 0)),
        images_(std::move(images)) {}
  bool in_memory() const override { return false; }
  void read(int64_t index, uint8_t* pixels) const override { images_->read(index, pixels); }

 private:
  std::shared_ptr<const Dataset> images_;
};

// Images and targets of a batch of the loader, from the definition.
struct Values {
  std::vector<float> images, targets;
};

Values values_of(const Dataset& dataset, const LoaderOptions& options, const Batch& batch) {
  const int64_t size = dataset.image_bytes(), classes = dataset.classes();
  const int64_t height = dataset.height(), width = dataset.width();
  const auto seed = static_cast<uint32_t>(options.shuffle_seed);
  std::vector<uint32_t> map(size);
  std::iota(map.begin(), map.end(), 0);
  if (options.block_size > 0) map = block_shuffle_map(height, width, options.block_size, seed);
  if (options.pixel_shuffle) map = pixel_shuffle_map(height, width, seed);
  Values plain{std::vector<float>(batch.size * size), std::vector<float>(batch.size * classes)};
  for (int64_t row = 0; row < batch.size; ++row) {
    for (int64_t i = 0; i < size; ++i) {
      const auto byte = static_cast<float>(batch.pixels[row * size + map[i]]);
      const uint32_t channel = map[i] % 3;
      plain.images[row * size + i] =
          (byte / 255.0f - dataset.mean()[channel]) / dataset.stddev()[channel];
    }
    dataset.target(batch.indices[row], &plain.targets[row * classes]);
  }
  if (batch.partners.empty()) return plain;
  Values mixed = plain;
  const auto mix = [&](std::vector<float>& out, const std::vector<float>& in, int64_t row_size) {
    for (size_t i = 0; i < out.size(); ++i) {
      const auto row = static_cast<int64_t>(i) / row_size, at = static_cast<int64_t>(i) % row_size;
      out[i] = batch.share * in[i] + (1.0f - batch.share) * in[batch.partners[row] * row_size + at];
    }
  };
  mix(mixed.images, plain.images, size);
  mix(mixed.targets, plain.targets, classes);
  return mixed;
}

struct Difference {
  double images = 0, targets = 0;  // largest
};

// Two epochs of batches, the second from its second batch on; the others must be equal.
Difference compare(const std::shared_ptr<const Dataset>& dataset, LoaderOptions options,
                   bool expect_resident, Device device = Device::kEmulated) {
  Stream stream(device);
  ResidentImages resident(expect_resident ? std::optional<int64_t>() : 0);
  BatchFeed feed(dataset, options, stream, resident);
  CHECK(feed.resident() == expect_resident);
  Loader loader(dataset, options);
  CHECK(feed.batches_per_epoch() == loader.batches_per_epoch());
  Difference difference;
  const float* address = nullptr;
  for (const int64_t epoch : {3, 4}) {
    loader.start_epoch(epoch, epoch - 3);
    feed.start_epoch(epoch, epoch - 3);
    while (const Batch* drawn = loader.next()) {
      const Values expected = values_of(*dataset, options, *drawn);
      const BatchTensors* actual = feed.next();
      REQUIRE(actual);
      REQUIRE(actual->images.shape() == Shape{drawn->size, dataset->height(), dataset->width(), 3});
      REQUIRE(actual->targets.shape() == Shape{drawn->size, dataset->classes()});
      if (!address) address = actual->images.data<float>();
      CHECK(actual->images.data<float>() == address);
      CHECK(feed.drawn().indices == drawn->indices);
      if (dataset->multi_label()) {
        CHECK(!actual->labels);
      } else {
        CHECK(download<int32_t>(actual->labels, stream) == drawn->labels);
      }
      auto largest = [](const std::vector<float>& values, const std::vector<float>& wanted,
                        double& most) {
        for (size_t i = 0; i < values.size(); ++i) {
          const double off = std::abs(double(values[i]) - wanted[i]);
          if (!(off <= most)) most = off;
        }
      };
      largest(download<float>(actual->images, stream), expected.images, difference.images);
      largest(download<float>(actual->targets, stream), expected.targets, difference.targets);
    }
    CHECK(feed.next() == nullptr);
  }
  return difference;
}

}  // namespace

TEST_CASE("batch feed: batches are what their bytes, shuffle and mixup say") {
  const auto whole = noise_dataset(21, 8, 5);
  const std::shared_ptr<const Dataset> sets[] = {
      whole, subset(whole, {20, 3, 3, 7, 0, 11, 5, 9, 2, 1, 19}), multi_label_dataset(13, 8, 3)};
  struct Way {
    Device device;
    bool resident;
  };
  const Way ways[] = {{Device::kEmulated, true}, {Device::kEmulated, false}, {Device::kCpu, false}};
  for (const auto& dataset : sets) {
    for (const Way& way : ways) {
      for (const bool augment : {false, true}) {
        for (const int shuffled : {0, 1, 2}) {  // not, blocks, all values
          CAPTURE(dataset->name());
          CAPTURE(name_of(way.device));
          CAPTURE(way.resident);
          CAPTURE(augment);
          CAPTURE(shuffled);
          LoaderOptions options{.batch_size = 4,
                                .seed = 5,
                                .shuffle = true,
                                .augment = augment,
                                .block_size = shuffled == 1 ? 4 : 0,
                                .pixel_shuffle = shuffled == 2,
                                .shuffle_seed = 1234};
          const Difference plain = compare(dataset, options, way.resident, way.device);
          CHECK(plain.images == 0);
          CHECK(plain.targets == 0);
          // Of mixup a compiler may fuse a product and a sum: one rounding of values below 4.
          options.mixup_alpha = 0.7f;
          const Difference mixed = compare(dataset, options, way.resident, way.device);
          CHECK(mixed.images <= std::ldexp(4, -23));
          CHECK(mixed.targets <= std::ldexp(1, -23));
        }
      }
    }
  }
}

TEST_CASE("batch feed: a batch in bf16 is the batch in floats, each rounded once") {
  const auto dataset = noise_dataset(11, 8, 3);
  for (const bool is_resident : {true, false}) {
    for (const float alpha : {0.0f, 0.7f}) {
      CAPTURE(is_resident);
      CAPTURE(alpha);
      const LoaderOptions options{
          .batch_size = 4, .shuffle = true, .augment = true, .mixup_alpha = alpha};
      Stream stream(Device::kEmulated);
      ResidentImages resident(is_resident ? std::optional<int64_t>() : 0);
      BatchFeed floats(dataset, options, stream, resident);
      BatchFeed rounded(dataset, options, stream, resident, DType::kBF16);
      CHECK(rounded.resident() == is_resident);
      floats.start_epoch(0);
      rounded.start_epoch(0);
      int64_t batches = 0;
      while (const BatchTensors* expected = floats.next()) {
        const BatchTensors* actual = rounded.next();
        REQUIRE(actual);
        REQUIRE(actual->images.shape() == expected->images.shape());
        const auto values = download<float>(expected->images, stream);
        const auto images = download<Bf16>(actual->images, stream);
        int64_t wrong = 0, inexact = 0;
        for (size_t i = 0; i < values.size(); ++i) {
          wrong += to_float(images[i]) != to_float(to_bf16(values[i]));
          inexact += to_float(images[i]) != values[i];
        }
        CHECK(wrong == 0);
        CHECK(inexact > 0);
        CHECK(download<float>(actual->targets, stream) ==
              download<float>(expected->targets, stream));
        ++batches;
      }
      CHECK(rounded.next() == nullptr);
      CHECK(batches == 3);
    }
  }
}

TEST_CASE("batch feed: images that are decoded stay on the device unless they are augmented") {
  const auto decoded = std::make_shared<const Decoded>(noise_dataset(10, 8, 2));
  LoaderOptions options{.batch_size = 4};
  for (const Device device : {Device::kEmulated, Device::kCpu}) {
    options.augment = false;
    CHECK(compare(decoded, options, true, device).images == 0);
    options.augment = true;
    CHECK(compare(decoded, options, false, device).images == 0);
    Stream stream(device);
    ResidentImages resident;
    CHECK_FALSE(BatchFeed(decoded, options, stream, resident).resident());
  }
  options.views = true;
  CHECK(contains(error_of([&] { Loader(decoded, options); }), "no views"));
}

TEST_CASE("batch feed: shuffles that make no sense are refused") {
  const auto dataset = noise_dataset(10, 8, 5);
  const auto refused = [&](auto change) {
    LoaderOptions options;
    change(options);
    Stream stream(Device::kCpu);
    ResidentImages resident;
    return error_of([&] { BatchFeed(dataset, options, stream, resident); });
  };
  CHECK(contains(refused([](auto& o) { o.block_size = 3; }), "block size 3"));
  CHECK(contains(refused([](auto& o) { o.shuffle_seed = uint64_t{1} << 32; }), "shuffle seed"));
  CHECK(contains(refused([](auto& o) { o.block_size = 2, o.pixel_shuffle = true; }), "exclude"));
}

TEST_CASE("resident images: shared while in use, within their bound") {
  Stream stream(Device::kEmulated);
  const auto a = noise_dataset(10, 8, 2), b = noise_dataset(11, 8, 2);
  const int64_t bytes = a->size() * a->image_bytes();
  ResidentImages resident(bytes + 1);
  auto of_a = resident.of(a, stream);
  REQUIRE(of_a);
  CHECK(of_a->bytes() == bytes);
  CHECK(resident.of(a, stream) == of_a);
  CHECK(resident.of(b, stream) == nullptr);
  Bytes there(bytes);
  stream.copy_to_host(there.data(), of_a->data(), bytes);
  CHECK(there == read_images(*a));
  of_a.reset();
  ResidentImages other(2 * bytes);
  const auto first = other.of(a, stream);
  CHECK(first);
  CHECK(other.of(b, stream) == nullptr);
  CHECK(ResidentImages().of(b, stream) != nullptr);  // of a quarter of the memory
  CHECK(ResidentImages(bytes - 1).of(a, stream) == nullptr);
  CHECK(memory_bytes(Device::kEmulated) > bytes);
}
