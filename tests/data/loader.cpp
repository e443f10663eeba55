// The loader: the same batches however they are read.
#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <tuple>

#include "data/mixup.h"
#include "data/subset.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

std::vector<Batch> epoch_of(Loader& loader, int64_t epoch, int64_t first_batch = 0) {
  loader.start_epoch(epoch, first_batch);
  std::vector<Batch> batches;
  while (const Batch* batch = loader.next()) {
    batches.push_back(*batch);
    if (!loader.options().views) {
      const auto image = batch->pixels.size() / loader.options().batch_size;
      batches.back().pixels.resize(batch->size * image);
    }
  }
  return batches;
}

bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  const auto all = [](const Batch& batch) {
    return std::tie(batch.size, batch.indices, batch.labels, batch.partners, batch.share,
                    batch.pixels);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](const Batch& x, const Batch& y) { return all(x) == all(y); });
}

LoaderOptions everything() {
  return {.batch_size = 8, .seed = 3, .shuffle = true, .augment = true, .mixup_alpha = 0.7f};
}

// Fails on one image; slow enough that workers overlap.
class FailingDataset : public Dataset {
 public:
  explicit FailingDataset(int64_t bad)
      : Dataset(square_images("failing", 2, 1), std::vector<int32_t>(40, 0)), bad_(bad) {}
  void read(int64_t index, uint8_t* pixels) const override {
    BASIN_CHECK(index != bad_, "image ", index, " is bad");
    std::fill_n(pixels, image_bytes(), static_cast<uint8_t>(index));
  }

 private:
  int64_t bad_;
};

}  // namespace

TEST_CASE("plain batches hold the images in order") {
  const auto dataset = noise_dataset(21, 8, 5);
  Loader loader(dataset, {.batch_size = 8});
  CHECK(loader.batches_per_epoch() == 3);
  CHECK(loader.next() == nullptr);  // before start_epoch
  int64_t index = 0;
  Bytes pixels;
  for (const Batch& batch : epoch_of(loader, 0)) {
    CHECK(batch.size == (index < 16 ? 8 : 5));
    CHECK(batch.partners.empty());
    CHECK(batch.views.empty());
    pixels.insert(pixels.end(), batch.pixels.begin(), batch.pixels.end());
    for (int64_t row = 0; row < batch.size; ++row, ++index) {
      CHECK(batch.indices[row] == index);
      CHECK(batch.labels[row] == index % 5);
    }
  }
  CHECK(index == 21);
  CHECK(pixels == read_images(*dataset));
  CHECK(loader.next() == nullptr);
}

TEST_CASE("views show what a batch of bytes holds") {
  constexpr int64_t kHeight = 16, kWidth = 16;
  const auto dataset = noise_dataset(21, kHeight, 5);
  for (const bool augment : {false, true}) {
    LoaderOptions options = everything();
    options.augment = augment;
    Loader bytes(dataset, options);
    options.views = true;
    Loader views(dataset, options);
    bytes.start_epoch(3);
    for (const Batch& batch : epoch_of(views, 3)) {
      const Batch* expected = bytes.next();
      REQUIRE(expected);
      CHECK(batch.pixels.empty());
      REQUIRE(static_cast<int64_t>(batch.views.size()) == batch.size);
      CHECK(batch.indices == expected->indices);
      for (int64_t row = 0; row < batch.size; ++row) {
        const ImageView& view = batch.views[row];
        CHECK(view.image == batch.indices[row]);
        Bytes shown(dataset->image_bytes());
        shift_and_flip(read_image(*dataset, view.image).data(), kHeight, kWidth,
                       {view.down, view.right, view.flip == 1}, shown.data());
        CHECK(std::equal(shown.begin(), shown.end(),
                         expected->pixels.begin() + row * dataset->image_bytes()));
      }
    }
  }
}

TEST_CASE("an epoch is the same for any number of workers, and again") {
  const auto dataset = noise_dataset(61, 8, 5);
  LoaderOptions options = everything();
  Loader alone(dataset, options);
  const auto expected = epoch_of(alone, 5);
  REQUIRE(expected.size() == 8);
  for (const int workers : {1, 3}) {
    for (const int ahead : {1, 4}) {
      CAPTURE(workers);
      CAPTURE(ahead);
      options.workers = workers;
      options.batches_ahead = ahead;
      Loader loader(dataset, options);
      CHECK(same(epoch_of(loader, 5), expected));
      CHECK(!same(epoch_of(loader, 6), expected));
      CHECK(same(epoch_of(loader, 5), expected));
    }
  }
  options.seed = 4;
  Loader other(dataset, options);
  CHECK(!same(epoch_of(other, 5), expected));
}

TEST_CASE("workers: one for images in memory; for files one a thread, as far as memory goes") {
  class Files : public FailingDataset {
   public:
    Files() : FailingDataset(-1) {}
    bool in_memory() const override { return false; }
  };
  LoaderOptions options{.batch_size = 32, .workers = 7};
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
  options.batch_size = int64_t{20} << 20;  // of 12 bytes: 240 MiB
  CHECK(with_workers(options, *files, 16).workers == 4);
  options.batch_size = int64_t{1} << 30;
  CHECK(with_workers(options, *files, 16).workers == 1);
}

TEST_CASE("an epoch begun in the middle equals the rest of the whole one") {
  const auto dataset = noise_dataset(61, 8, 5);
  for (const int workers : {1, 3}) {
    LoaderOptions options = everything();
    options.workers = workers;
    Loader loader(dataset, options);
    const auto whole = epoch_of(loader, 2);
    for (int64_t first = 0; first <= 8; ++first) {
      loader.start_epoch(7);  // an epoch under way is dropped
      loader.next();
      CHECK(same(epoch_of(loader, 2, first), {whole.begin() + first, whole.end()}));
    }
    CHECK_THROWS_AS(loader.start_epoch(2, 9), Error);
    CHECK_THROWS_AS(loader.start_epoch(-1), Error);
  }
}

TEST_CASE("a batch stays whole until the next call, and the ring is reused") {
  const auto dataset = noise_dataset(64, 8, 5);
  Loader loader(dataset, {.batch_size = 4, .workers = 3, .batches_ahead = 3});
  std::set<const uint8_t*> addresses;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    loader.start_epoch(epoch);
    int64_t first = 0;
    while (const Batch* batch = loader.next()) {
      addresses.insert(batch->pixels.data());
      const Batch before = *batch;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      REQUIRE(same({*batch}, {before}));
      REQUIRE(batch->indices[0] == first);
      first += 4;
    }
  }
  CHECK(addresses.size() <= 4);
}

TEST_CASE("shuffled epochs are permutations, and differ by epoch and seed") {
  const auto dataset = noise_dataset(50, 8, 5);
  Loader loader(dataset, {.batch_size = 50, .shuffle = true});
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
  Loader large(dataset, {.batch_size = 24, .augment = true});
  Loader small(dataset, {.batch_size = 1, .augment = true});
  const auto whole = epoch_of(large, 1)[0].pixels;
  const auto single = epoch_of(small, 1);
  for (int64_t i = 0; i < 24; ++i) {
    CHECK(std::equal(single[i].pixels.begin(), single[i].pixels.end(), whole.begin() + i * 192));
  }
  CHECK(epoch_of(large, 2)[0].pixels != whole);
  Loader plain(dataset, {.batch_size = 24});
  CHECK(epoch_of(plain, 1)[0].pixels != whole);
  CHECK(epoch_of(plain, 1)[0].pixels == epoch_of(plain, 2)[0].pixels);
}

TEST_CASE("mixup draws one share and the partners of a batch, and labels and bytes stay") {
  const auto dataset = noise_dataset(60, 8, 5);
  LoaderOptions options{.batch_size = 16};
  Loader plain_loader(dataset, options);
  options.mixup_alpha = 0.7f;
  Loader mixed_loader(dataset, options);
  const auto plain = epoch_of(plain_loader, 4), mixed = epoch_of(mixed_loader, 4);
  for (uint32_t b = 0; b < 4; ++b) {
    CHECK(mixed[b].labels == plain[b].labels);
    CHECK(mixed[b].indices == plain[b].indices);
    CHECK(mixed[b].pixels == plain[b].pixels);
    RandomStream random(options.seed, RandomPurpose::kMixup, 4, b);
    CHECK(mixed[b].share == static_cast<float>(draw_beta(0.7f, 0.7f, random)));
    std::vector<int32_t> partners(plain[b].indices.size());
    std::iota(partners.begin(), partners.end(), 0);
    shuffle(partners.begin(), partners.end(), random);
    CHECK(mixed[b].partners == partners);
  }
}

TEST_CASE("multi-label sets have multi-hot targets and their batches no labels") {
  const Bytes rows{1, 0, 1, 0, 0, 0};
  const auto dataset = std::make_shared<const ArrayDataset>(square_images("multi", 1, 3, true),
                                                            rows, Bytes{1, 2, 3, 4, 5, 6});
  CHECK(dataset->size() == 2);
  CHECK_THROWS_AS(dataset->label(0), Error);
  Loader loader(dataset, {.batch_size = 2});
  const auto batch = epoch_of(loader, 0)[0];
  float targets[6];
  for (int64_t i = 0; i < 2; ++i) dataset->target(i, targets + 3 * i);
  CHECK(std::vector<float>(targets, targets + 6) == std::vector<float>{1, 0, 1, 0, 0, 0});
  CHECK(batch.labels.empty());
}

TEST_CASE(
    "an error in a worker reaches next() at its batch and the loader goes on with a new epoch") {
  const auto dataset = std::make_shared<const FailingDataset>(21);
  for (const int workers : {1, 3}) {
    Loader loader(dataset, {.batch_size = 8, .workers = workers, .batches_ahead = 4});
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
  CHECK(contains(refused([](auto& o) { o.workers = 0; }), "workers: 0"));
  CHECK(contains(refused([](auto& o) { o.batches_ahead = 0; }), "batches ahead: 0"));
  CHECK(contains(refused([](auto& o) { o.mixup_alpha = -1; }), "mixup alpha is -1"));
  CHECK_THROWS_AS(Loader(nullptr, LoaderOptions{}), Error);
}
