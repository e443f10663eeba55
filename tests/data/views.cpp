// Batches made of stored bytes by one call against those of the loader and of the functions that
// crop images on the host: the same bits.
#include "data/views.h"

#include <algorithm>

#include "data/loader.h"
#include "data/mixup.h"
#include "data/shuffle.h"
#include "kernels/device/declarations.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

TEST_CASE("a batch by one call from the bytes of the set has the bits of the loader's") {
  constexpr int64_t kSize = 21, kSide = 16, kClasses = 5, kImage = kSide * kSide * 3;
  constexpr uint32_t kEpoch = 3;
  const auto dataset = noise_dataset(kSize, kSide, kClasses);
  const Bytes pixels = read_images(*dataset);
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < kSize; ++i) labels.push_back(dataset->label(i));
  for (const bool augment : {false, true}) {
    for (const float alpha : {0.0f, 0.7f}) {
      for (const int shuffled : {0, 1, 2}) {  // not, blocks, all values
        CAPTURE(augment);
        CAPTURE(alpha);
        CAPTURE(shuffled);
        LoaderOptions options;
        options.batch_size = 8;
        options.seed = 5;
        options.shuffle = true;
        options.augment = augment;
        options.mixup_alpha = alpha;
        options.block_size = shuffled == 1 ? 4 : 0;
        options.pixel_shuffle = shuffled == 2;
        options.shuffle_seed = 1234;
        std::vector<uint32_t> map;
        if (shuffled == 1) map = block_shuffle_map(kSide, kSide, 4, 1234);
        if (shuffled == 2) map = pixel_shuffle_map(kSide, kSide, 1234);
        Loader loader(dataset, options);
        loader.start_epoch(kEpoch);
        for (uint32_t number = 0; const Batch* expected = loader.next(); ++number) {
          // The last batch is not full: the rows behind its images have none.
          ImageView nothing{};
          nothing.offset = -1;
          std::vector<ImageView> views(8, nothing);
          std::vector<int64_t> indices(8, -1);
          std::vector<int32_t> partners(8);
          std::iota(partners.begin(), partners.end(), 0);
          for (int64_t row = 0; row < expected->size; ++row) {
            const int64_t index = indices[row] = expected->indices[row];
            ShiftAndFlip change{0, 0, false};
            if (augment) {
              RandomStream random(options.seed, RandomPurpose::kAugmentation, kEpoch,
                                  static_cast<uint32_t>(index));
              change = random_shift_and_flip(kSide, kSide, true, random);
            }
            views[row] = shifted_view(index, kSide, kSide, change);
          }
          RandomStream random(options.seed, RandomPurpose::kMixup, kEpoch, number);
          float share = 1;
          if (alpha > 0) {
            share = static_cast<float>(draw_beta(alpha, alpha, random));
            shuffle(partners.begin(), partners.begin() + expected->size, random);
          }
          std::vector<float> images(8 * kImage, -1), targets(8 * kClasses, -1);
          Augment<float> call{};
          call.pixels = pixels.data();
          call.views = views.data();
          call.map = map.empty() ? nullptr : map.data();
          call.partners = alpha > 0 ? partners.data() : nullptr;
          call.share = &share;
          call.mean = dataset->mean();
          call.stddev = dataset->stddev();
          call.y = images.data();
          call.batch = 8;
          call.height = call.width = kSide;
          cpu::run(call);
          cpu::run(MixTargets{labels.data(), nullptr, indices.data(), call.partners, &share,
                              targets.data(), 8, kClasses});
          CHECK(std::equal(images.begin(), images.end(), expected->images));
          CHECK(std::equal(targets.begin(), targets.end(), expected->targets));
        }
      }
    }
  }
}

TEST_CASE("a cropped view shows what cropping, resizing and flipping on the host show") {
  constexpr int64_t kHeight = 11, kWidth = 14;
  RandomStream noise(8, RandomPurpose::kNoise);
  Bytes stored(10);  // something in front of the image
  Image image{23, 37, {}};
  for (int64_t i = 0; i < image.height * image.width * 3; ++i) {
    image.pixels.push_back(static_cast<uint8_t>(noise.bits()));
  }
  stored.insert(stored.end(), image.pixels.begin(), image.pixels.end());
  ResizeTable table;
  std::vector<ImageView> views;
  std::vector<Bytes> expected;
  for (uint32_t i = 0; i < 20; ++i) {
    RandomStream random(4, RandomPurpose::kAugmentation, 0, i);
    CropBox box = random_resized_crop(image.height, image.width, random);
    if (i == 0) box = {0, 0, image.height, image.width};
    if (i == 1) box = {image.height - 1, image.width - 1, 1, 1};
    if (i == 2) box = {3, 5, kHeight, kWidth};  // of the size already
    const bool flip = i % 2 == 1;
    views.push_back(cropped_view(10, image.height, image.width, box, flip, kHeight, kWidth, table));
    Bytes resized(kHeight * kWidth * 3), shown(resized.size());
    resize_bilinear(image, box, kHeight, kWidth, resized.data());
    shift_and_flip(resized.data(), kHeight, kWidth, {0, 0, flip}, shown.data());
    expected.push_back(shown);
  }
  std::vector<float> y(views.size() * kHeight * kWidth * 3);
  Augment<float> call{};
  call.pixels = stored.data();
  call.views = views.data();
  call.taps = table.taps.data();
  call.weights = table.weights.data();
  call.stddev = {1, 1, 1};
  call.y = y.data();
  call.batch = static_cast<int64_t>(views.size());
  call.height = kHeight;
  call.width = kWidth;
  cpu::run(call);
  for (size_t n = 0; n < views.size(); ++n) {
    CAPTURE(n);
    int64_t wrong = 0;
    for (size_t i = 0; i < expected[n].size(); ++i) {
      wrong += y[n * expected[n].size() + i] != static_cast<float>(expected[n][i]) / 255.0f;
    }
    CHECK(wrong == 0);
  }
  CHECK(contains(error_of([&] {
                   cropped_view(0, 23, 37, {20, 0, 4, 5}, false, kHeight, kWidth, table);
                 }),
                 "crop box 4x5"));
}
