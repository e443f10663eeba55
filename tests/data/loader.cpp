// The loader: the same batches however they are made.
#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>

#include "data/mixup.h"
#include "data/shuffle.h"
#include "data/subset.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

struct BatchCopy {
  std::vector<float> images, targets;
  std::vector<int32_t> labels;
  std::vector<int64_t> indices;
  bool operator==(const BatchCopy&) const = default;
};

BatchCopy copy(const Batch& batch, const Loader& loader) {
  const int64_t rows = loader.options().batch_size;
  const Dataset& data = loader.dataset();
  return {{batch.images, batch.images + rows * data.image_bytes()},
          {batch.targets, batch.targets + rows * data.classes()},
          batch.labels,
          batch.indices};
}

std::vector<BatchCopy> epoch_of(Loader& loader, int64_t epoch, int64_t first_batch = 0) {
  loader.start_epoch(epoch, first_batch);
  std::vector<BatchCopy> batches;
  while (const Batch* batch = loader.next()) batches.push_back(copy(*batch, loader));
  return batches;
}

LoaderOptions everything() {
  LoaderOptions options;
  options.batch_size = 8;
  options.seed = 3;
  options.shuffle = true;
  options.augment = true;
  options.mixup_alpha = 0.7f;
  options.block_size = 4;
  options.shuffle_seed = 1234;
  return options;
}

// Fails on one image; slow enough that workers overlap.
class FailingDataset : public Dataset {
 public:
  explicit FailingDataset(int64_t bad) : Dataset(info(), std::vector<int32_t>(40, 0)), bad_(bad) {}
  void read(int64_t index, uint8_t* pixels) const override {
    BASIN_CHECK(index != bad_, "image ", index, " is bad");
    std::fill_n(pixels, image_bytes(), static_cast<uint8_t>(index));
  }

 private:
  static DatasetInfo info() {
    DatasetInfo info;
    info.name = "failing";
    info.height = info.width = 2;
    info.class_names = {"only"};
    info.stddev = {1, 1, 1};
    return info;
  }
  int64_t bad_;
};

}  // namespace

TEST_CASE("plain batches hold the images in order, normalised, with one-hot targets") {
  const auto dataset = noise_dataset(21, 8, 5);
  LoaderOptions options;
  options.batch_size = 8;
  Loader loader(dataset, options);
  CHECK(loader.batches_per_epoch() == 3);
  CHECK(loader.next() == nullptr);  // before start_epoch
  loader.start_epoch(0);
  int64_t index = 0;
  while (const Batch* batch = loader.next()) {
    CHECK(reinterpret_cast<uintptr_t>(batch->images) % 64 == 0);
    CHECK(reinterpret_cast<uintptr_t>(batch->targets) % 64 == 0);
    CHECK(batch->size == (index < 16 ? 8 : 5));
    for (int64_t row = 0; row < batch->size; ++row, ++index) {
      CHECK(batch->indices[row] == index);
      CHECK(batch->labels[row] == index % 5);
      const Bytes pixels = read_image(*dataset, index);
      for (int64_t i = 0; i < 192; ++i) {
        const float expected = (static_cast<float>(pixels[i]) / 255.0f - dataset->mean()[i % 3]) /
                               dataset->stddev()[i % 3];
        REQUIRE(batch->images[row * 192 + i] == doctest::Approx(expected).epsilon(1e-6));
      }
      for (int64_t c = 0; c < 5; ++c) {
        REQUIRE(batch->targets[row * 5 + c] == (c == index % 5 ? 1.0f : 0.0f));
      }
    }
    for (int64_t i = batch->size * 192; i < 8 * 192; ++i) REQUIRE(batch->images[i] == 0);
    for (int64_t i = batch->size * 5; i < 8 * 5; ++i) REQUIRE(batch->targets[i] == 0);
  }
  CHECK(index == 21);
  CHECK(loader.next() == nullptr);
  options.drop_last = true;
  Loader dropping(dataset, options);
  CHECK(dropping.batches_per_epoch() == 2);
  CHECK(epoch_of(dropping, 0).size() == 2);
}

TEST_CASE("an epoch is the same for any number of workers, and again") {
  const auto dataset = noise_dataset(61, 8, 5);
  LoaderOptions options = everything();
  options.workers = 0;
  Loader alone(dataset, options);
  const auto expected = epoch_of(alone, 5);
  REQUIRE(expected.size() == 8);
  CHECK(epoch_of(alone, 5) == expected);
  CHECK(epoch_of(alone, 6) != expected);
  for (const int workers : {1, 3}) {
    for (const int ahead : {1, 4}) {
      CAPTURE(workers);
      CAPTURE(ahead);
      options.workers = workers;
      options.batches_ahead = ahead;
      Loader loader(dataset, options);
      CHECK(epoch_of(loader, 5) == expected);
      CHECK(epoch_of(loader, 6) != expected);
      CHECK(epoch_of(loader, 5) == expected);
    }
  }
  options.seed = 4;
  Loader other(dataset, options);
  CHECK(epoch_of(other, 5) != expected);
}

TEST_CASE("workers: one for images in memory; for files one a thread, as far as memory goes") {
  class Files : public FailingDataset {
   public:
    Files() : FailingDataset(-1) {}
    bool in_memory() const override { return false; }
  };
  LoaderOptions options;
  options.batch_size = 32;
  options.workers = 7;
  CHECK(with_workers(options, *noise_dataset(21, 8, 5), 16).workers == 1);
  CHECK(with_workers(options, *noise_dataset(21, 8, 5), 16).batches_ahead == 2);
  const auto files = std::make_shared<const Files>();
  const auto part = evenly_spaced(files, 10);
  for (const Dataset* dataset : {static_cast<const Dataset*>(files.get()), part.get()}) {
    const LoaderOptions many = with_workers(options, *dataset, 16);
    CHECK(many.workers == 16);
    CHECK(many.batches_ahead == 16);
    CHECK(many.batch_size == 32);
  }
  options.batch_size = int64_t{5} << 20;  // of 12 values in 4 bytes: 240 MiB
  CHECK(with_workers(options, *files, 16).workers == 4);
  options.mixup_alpha = 1;  // images before and after it
  CHECK(with_workers(options, *files, 16).workers == 2);
  options.batch_size = int64_t{1} << 30;
  CHECK(with_workers(options, *files, 16).workers == 1);
}

TEST_CASE("an epoch begun in the middle equals the rest of the whole one") {
  const auto dataset = noise_dataset(61, 8, 5);
  for (const int workers : {0, 1, 3}) {
    LoaderOptions options = everything();
    options.workers = workers;
    Loader loader(dataset, options);
    const auto whole = epoch_of(loader, 2);
    for (int64_t first = 0; first <= 8; ++first) {
      loader.start_epoch(7);  // an epoch under way is dropped
      loader.next();
      CHECK(epoch_of(loader, 2, first) ==
            std::vector<BatchCopy>(whole.begin() + first, whole.end()));
    }
    CHECK_THROWS_AS(loader.start_epoch(2, 9), Error);
    CHECK_THROWS_AS(loader.start_epoch(-1), Error);
  }
}

TEST_CASE("a batch stays whole until the next call, and the ring is reused") {
  const auto dataset = noise_dataset(64, 8, 5);
  LoaderOptions options;
  options.batch_size = 4;
  options.workers = 3;
  options.batches_ahead = 3;
  Loader loader(dataset, options);
  std::set<const float*> addresses;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    loader.start_epoch(epoch);
    int64_t first = 0;
    while (const Batch* batch = loader.next()) {
      addresses.insert(batch->images);
      const BatchCopy before = copy(*batch, loader);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      REQUIRE(copy(*batch, loader) == before);
      REQUIRE(batch->indices[0] == first);
      first += 4;
    }
  }
  CHECK(addresses.size() <= 4);
}

TEST_CASE("shuffled epochs are permutations, and differ by epoch and seed") {
  const auto dataset = noise_dataset(50, 8, 5);
  LoaderOptions options;
  options.shuffle = true;
  options.batch_size = 50;
  Loader loader(dataset, options);
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    auto order = epoch_of(loader, epoch)[0].indices;
    orders.insert(order);
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < 50; ++i) CHECK(order[i] == i);
  }
  CHECK(orders.size() == 5);
}

TEST_CASE("augmentation of an image depends on seed, epoch and image, not on its batch") {
  const auto dataset = noise_dataset(24, 8, 5);
  LoaderOptions options;
  options.augment = true;
  options.batch_size = 24;
  Loader large(dataset, options);
  options.batch_size = 1;
  Loader small(dataset, options);
  const auto whole = epoch_of(large, 1)[0].images;
  const auto single = epoch_of(small, 1);
  for (int64_t i = 0; i < 24; ++i) {
    CHECK(std::equal(single[i].images.begin(), single[i].images.end(), whole.begin() + i * 192));
  }
  CHECK(epoch_of(large, 2)[0].images != whole);
  options.augment = false;
  options.batch_size = 24;
  Loader plain(dataset, options);
  CHECK(epoch_of(plain, 1)[0].images != whole);
  CHECK(epoch_of(plain, 1)[0].images == epoch_of(plain, 2)[0].images);
}

TEST_CASE("mixup mixes images and targets with one share a batch and labels stay") {
  const auto dataset = noise_dataset(60, 8, 5);
  LoaderOptions options;
  options.batch_size = 16;
  Loader plain_loader(dataset, options);
  options.mixup_alpha = 0.7f;
  Loader mixed_loader(dataset, options);
  const auto plain = epoch_of(plain_loader, 4), mixed = epoch_of(mixed_loader, 4);
  for (uint32_t b = 0; b < 4; ++b) {
    CHECK(mixed[b].labels == plain[b].labels);
    CHECK(mixed[b].indices == plain[b].indices);
    const auto size = static_cast<int64_t>(plain[b].indices.size());
    RandomStream random(options.seed, RandomPurpose::kMixup, 4, b);
    const auto share = static_cast<float>(draw_beta(0.7f, 0.7f, random));
    std::vector<int64_t> partners(size);
    std::iota(partners.begin(), partners.end(), 0);
    shuffle(partners.begin(), partners.end(), random);
    for (int64_t row = 0; row < size; ++row) {
      float sum = 0;
      for (int64_t c = 0; c < 5; ++c) {
        sum += mixed[b].targets[row * 5 + c];
        const float expected = share * plain[b].targets[row * 5 + c] +
                               (1 - share) * plain[b].targets[partners[row] * 5 + c];
        REQUIRE(mixed[b].targets[row * 5 + c] == doctest::Approx(expected));
      }
      CHECK(sum == doctest::Approx(1.0));
      for (int64_t i = 0; i < 192; ++i) {
        const float expected = share * plain[b].images[row * 192 + i] +
                               (1 - share) * plain[b].images[partners[row] * 192 + i];
        REQUIRE(std::abs(mixed[b].images[row * 192 + i] - expected) < 1e-5f);
      }
    }
  }
}

TEST_CASE(
    "shuffles permute the normalised values by one fixed map and block = side changes nothing") {
  const auto dataset = noise_dataset(10, 8, 5);
  LoaderOptions options;
  options.batch_size = 10;
  options.shuffle_seed = 1235;
  Loader plain_loader(dataset, options);
  const auto plain = epoch_of(plain_loader, 0)[0].images;
  options.block_size = 8;
  Loader identity(dataset, options);
  CHECK(epoch_of(identity, 0)[0].images == plain);
  const auto follows = [&](const std::vector<uint32_t>& map, int64_t epoch) {
    Loader loader(dataset, options);
    const auto images = epoch_of(loader, epoch)[0].images;
    for (int64_t row = 0; row < 10; ++row) {
      for (int64_t i = 0; i < 192; ++i) {
        if (images[row * 192 + i] != plain[row * 192 + map[i]]) return false;
      }
    }
    return true;
  };
  options.block_size = 2;
  CHECK(follows(block_shuffle_map(8, 8, 2, 1235), 0));
  CHECK(follows(block_shuffle_map(8, 8, 2, 1235), 1));
  options.block_size = 0;
  options.pixel_shuffle = true;
  CHECK(follows(pixel_shuffle_map(8, 8, 1235), 3));
}

TEST_CASE("multi-label batches have multi-hot targets and no labels") {
  DatasetInfo info;
  info.name = "multi";
  info.height = info.width = 1;
  info.class_names = {"a", "b", "c"};
  info.multi_label = true;
  info.stddev = {1, 1, 1};
  const Bytes rows{1, 0, 1, 0, 0, 0};
  const auto dataset = std::make_shared<const ArrayDataset>(info, rows, Bytes{1, 2, 3, 4, 5, 6});
  CHECK(dataset->size() == 2);
  CHECK_THROWS_AS(dataset->label(0), Error);
  LoaderOptions options;
  options.batch_size = 2;
  Loader loader(dataset, options);
  const auto batch = epoch_of(loader, 0)[0];
  CHECK(batch.targets == std::vector<float>{1, 0, 1, 0, 0, 0});
  CHECK(batch.labels.empty());
}

TEST_CASE(
    "an error in a worker reaches next() at its batch and the loader goes on with a new epoch") {
  const auto dataset = std::make_shared<const FailingDataset>(21);
  for (const int workers : {0, 1, 3}) {
    LoaderOptions options;
    options.batch_size = 8;
    options.workers = workers;
    options.batches_ahead = 4;
    Loader loader(dataset, options);
    for (int round = 0; round < 3; ++round) {
      loader.start_epoch(round);
      CHECK(loader.next()->indices[0] == 0);
      CHECK(loader.next()->indices[0] == 8);
      CHECK(error_of([&] { loader.next(); }) == "image 21 is bad");
    }
    loader.start_epoch(3, 3);
    CHECK(loader.next()->indices[0] == 24);
  }
}

TEST_CASE("a loader may be destroyed at any time") {
  const auto dataset = noise_dataset(400, 16, 5);
  for (int taken = 0; taken < 6; ++taken) {
    LoaderOptions options = everything();
    options.workers = 3;
    Loader loader(dataset, options);
    if (taken > 0) loader.start_epoch(0);
    for (int i = 1; i < taken; ++i) CHECK(loader.next() != nullptr);
  }
}

TEST_CASE("options that make no sense are refused") {
  const auto dataset = noise_dataset(10, 8, 5);
  const auto refused = [&](auto change) {
    LoaderOptions options;
    change(options);
    return error_of([&] { Loader loader(dataset, options); });
  };
  CHECK(contains(refused([](auto& o) { o.batch_size = 0; }), "batch size is 0"));
  CHECK(contains(refused([](auto& o) { o.workers = -1; }), "workers: -1"));
  CHECK(contains(refused([](auto& o) { o.batches_ahead = 0; }), "batches ahead: 0"));
  CHECK(contains(refused([](auto& o) { o.mixup_alpha = -1; }), "mixup alpha is -1"));
  CHECK(contains(refused([](auto& o) { o.block_size = 3; }), "block size 3"));
  CHECK(contains(refused([](auto& o) { o.shuffle_seed = uint64_t{1} << 32; }), "shuffle seed"));
  CHECK(contains(refused([](auto& o) { o.block_size = 2, o.pixel_shuffle = true; }), "exclude"));
  CHECK_THROWS_AS(Loader(nullptr, LoaderOptions{}), Error);
}
