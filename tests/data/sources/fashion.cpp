// The fashion sets. Most cases need Fashion-MNIST's files and are skipped, visibly, without them.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "data/loader.h"
#include "data/sources/fashion_render.h"
#include "data/sources/idx.h"
#include "kernels/base/parallel.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

constexpr const char* kFolder = "/usr/share/datasets/fashion-mnist";

bool files_missing() {
  if (std::filesystem::exists(std::string(kFolder) + "/train-images-idx3-ubyte.gz")) return false;
  std::printf("SKIPPED: no Fashion-MNIST files in %s (apt-get install dataset-fashion-mnist)\n",
              kFolder);
  return true;
}

DataSplits load(const std::string& domain, const std::string& split, int64_t train_size,
                uint64_t seed = 1) {
  return load_data({.spec = "fashion/" + domain,
                    .data_dir = {},
                    .split = split,
                    .train_size = train_size,
                    .seed = seed,
                    .test_size = 100});
}

std::vector<Bytes> all_images(const Dataset& dataset) {
  std::vector<Bytes> images;
  for (int64_t i = 0; i < dataset.size(); ++i) images.push_back(read_image(dataset, i));
  return images;
}

// Grey as R = G = B.
Bytes in_color(const Bytes& grey) {
  Bytes pixels;
  for (const uint8_t pixel : grey) pixels.insert(pixels.end(), 3, pixel);
  return pixels;
}

// A square of two tones as a photograph.
Bytes square_photo() {
  Bytes photo(28 * 28);
  for (int y = 6; y < 22; ++y) {
    for (int x = 6; x < 22; ++x) photo[y * 28 + x] = y < 14 ? 90 : 220;
  }
  return photo;
}

}  // namespace

TEST_CASE("photo shows the garment dark on white in the middle of the picture") {
  const Bytes photo = square_photo();
  Bytes pixels(32 * 32);
  render_photo(photo.data(), pixels.data());
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      const bool inside = y >= 2 && y < 30 && x >= 2 && x < 30;
      const int expected = inside ? 255 - photo[(y - 2) * 28 + x - 2] : 255;
      REQUIRE(pixels[y * 32 + x] == expected);
    }
  }
}

TEST_CASE(
    "clipart has a pastel ground, a dark outline and flat fills and quickdraw strokes on white") {
  const Bytes photo = square_photo();
  Bytes clipart(32 * 32 * 3), sketch(32 * 32), again(32 * 32 * 3);
  for (int64_t number = 0; number < 20; ++number) {
    render_clipart(photo.data(), number, clipart.data());
    const auto value = [&](int y, int x) {
      const uint8_t* p = &clipart[(y * 32 + x) * 3];
      return std::max({p[0], p[1], p[2]});
    };
    CHECK(value(1, 1) > 240);   // ground
    CHECK(value(16, 7) < 130);  // outline: the garment begins at column 8
    CHECK(value(16, 8) < 130);
    CHECK(value(11, 16) > value(20, 16));  // the lighter half of the garment
    for (int x = 13; x < 19; ++x) {        // flat fills
      for (int c = 0; c < 3; ++c)
        CHECK(clipart[(20 * 32 + x) * 3 + c] == clipart[(20 * 32 + 12) * 3 + c]);
    }
    render_clipart(photo.data(), number, again.data());
    CHECK(again == clipart);
    render_clipart(photo.data(), number + 1, again.data());
    CHECK(again != clipart);

    render_quickdraw(photo.data(), number, sketch.data());
    int dark = 0, white = 0;
    for (const uint8_t pixel : sketch) {
      dark += pixel < 90;
      white += pixel > 250;
    }
    CHECK(dark > 40);   // the contour is 64 pixels long
    CHECK(dark < 160);  // and it is not filled
    CHECK(white > 700);
    CHECK(sketch[11 * 32 + 16] > 250);
    // The edge between the halves is an inner stroke.
    int darkest = 255;
    for (int y = 13; y < 20; ++y) darkest = std::min<int>(darkest, sketch[y * 32 + 16]);
    CHECK(darkest < 128);
  }
}

TEST_CASE("renderers take empty and full photographs") {
  for (const uint8_t value : {0, 255}) {
    const Bytes photo(28 * 28, value);
    Bytes pixels(64 * 64 * 3);
    render_photo(photo.data(), pixels.data());
    render_clipart(photo.data(), 1, pixels.data());
    render_quickdraw(photo.data(), 1, pixels.data());
    if (value == 0) CHECK(std::all_of(&pixels[0], &pixels[1024], [](int p) { return p == 255; }));
    render_mosaic({photo.data()}, 1, pixels.data());
  }
}

TEST_CASE("missing or other files are refused with the package to install") {
  const DataFolder folder;
  DataOptions options;
  options.data_dir = folder.path();
  CHECK(contains(error_of([&] { load_data(options); }), "apt-get install dataset-fashion-mnist"));
  for (const std::string prefix : {"train", "t10k"}) {
    write_file(folder.path(prefix + "-images-idx3-ubyte"), idx_bytes({2, 28, 28}, Bytes(2 * 784)));
    write_file(folder.path(prefix + "-labels-idx1-ubyte"), idx_bytes({2}, {0, 1}));
  }
  const std::string error = error_of([&] { load_data(options); });
  CHECK(contains(error, folder.path()));
  CHECK(contains(error, "2 images of 28x28, expected 60000 of 28x28"));
  CHECK(contains(error, "--data-dir"));
}

TEST_CASE("photo: sizes, labels and statistics of the whole set") {
  if (files_missing()) return;
  DataOptions options;
  const DataSplits splits = load_data(options);
  CHECK(splits.train->size() == 60000);
  CHECK(splits.test->size() == 10000);
  CHECK(splits.train->classes() == 10);
  CHECK(splits.train->height() == 32);
  const LabelledImages raw = read_idx(kFolder, "train", "");
  std::vector<int64_t> histogram(256), by_class(10);
  for (int64_t i = 0; i < 60000; ++i) {
    ++by_class[splits.train->label(i)];
    if (splits.train->label(i) != raw.labels[i]) FAIL("label of image ", i);
    for (const uint8_t pixel : read_image(*splits.train, i)) ++histogram[pixel];
  }
  CHECK(by_class == std::vector<int64_t>(10, 6000));
  const double count = 60000.0 * 3072;
  double mean = 0, squares = 0;
  for (int v = 0; v < 256; ++v) {
    mean += static_cast<double>(histogram[v]) / count * v / 255.0;
    squares += static_cast<double>(histogram[v]) / count * (v / 255.0) * (v / 255.0);
  }
  CHECK(std::abs(mean - splits.train->mean()[0]) < 6e-5);
  CHECK(std::abs(std::sqrt(squares - mean * mean) - splits.train->stddev()[2]) < 6e-5);
}

TEST_CASE("source is the first 50,000 training images and target is drawn from the rest") {
  if (files_missing()) return;
  const LabelledImages raw = read_idx(kFolder, "train", "");
  const auto rendered = [&](int64_t i) {
    Bytes grey(1024);
    render_photo(&raw.pixels[i * 784], grey.data());
    return in_color(grey);
  };
  const auto source = load("photo", "source", 0).train;
  REQUIRE(source->size() == 50000);
  for (const int64_t i : {0, 777, 49999}) CHECK(read_image(*source, i) == rendered(i));
  const auto target = load("photo", "target", 0).train;
  REQUIRE(target->size() == 10000);
  for (const int64_t i : {0, 777, 9999}) CHECK(read_image(*target, i) == rendered(50000 + i));
}

TEST_CASE("the domains show the same garments, each drawn by the index of its photograph") {
  if (files_missing()) return;
  const LabelledImages raw = read_idx(kFolder, "train", "");
  const auto photo = load("photo", "target", 50).train,
             clipart = load("clipart", "target", 50).train,
             quickdraw = load("quickdraw", "target", 50).train;
  const auto other = load("photo", "target", 50, 2).train;
  CHECK(all_images(*photo) != all_images(*other));
  std::vector<int> by_class(10);
  int64_t raw_index = 50000;
  for (int64_t i = 0; i < 50; ++i) {
    ++by_class[photo->label(i)];
    CHECK(clipart->label(i) == photo->label(i));
    CHECK(quickdraw->label(i) == photo->label(i));
    const Bytes shown = read_image(*photo, i);
    // Images keep the order of the file: the search only goes forward, and begins in the target.
    const auto same = [&](int64_t candidate) {
      const uint8_t* stored = &raw.pixels[candidate * 784];
      for (int p = 0; p < 784; ++p) {
        if (shown[((p / 28 + 2) * 32 + p % 28 + 2) * 3] != 255 - stored[p]) return false;
      }
      return true;
    };
    while (raw_index < 60000 && !same(raw_index)) ++raw_index;
    REQUIRE(raw_index < 60000);
    Bytes drawn(3072), sketch(1024);
    render_clipart(&raw.pixels[raw_index * 784], raw_index, drawn.data());
    render_quickdraw(&raw.pixels[raw_index * 784], raw_index, sketch.data());
    CHECK(read_image(*clipart, i) == drawn);
    CHECK(read_image(*quickdraw, i) == in_color(sketch));
    ++raw_index;
  }
  CHECK(by_class == std::vector<int>(10, 5));
}

TEST_CASE("drawings do not depend on the number of threads") {
  if (files_missing()) return;
  for (const std::string domain : {"clipart", "quickdraw", "mosaic"}) {
    set_threads(1);
    const auto one = load(domain, "target", 300);
    set_threads(3);
    const auto three = load(domain, "target", 300);
    set_threads(1);
    CHECK(all_images(*one.train) == all_images(*three.train));
    CHECK(all_images(*one.test) == all_images(*three.test));
  }
}

TEST_CASE("mosaic: one to four garments of one side of the split, multi-hot") {
  if (files_missing()) return;
  const DataSplits splits = load("mosaic", "target", 1000);
  const Dataset& train = *splits.train;
  CHECK(train.multi_label());
  CHECK(train.height() == 64);
  CHECK(splits.test->size() == 100);
  std::vector<int> with_labels(5), by_class(10);
  double mean = 0;
  for (int64_t i = 0; i < train.size(); ++i) {
    float row[10];
    train.target(i, row);
    int count = 0;
    for (int c = 0; c < 10; ++c) {
      CHECK((row[c] == 0 || row[c] == 1));
      count += row[c] == 1;
      by_class[c] += row[c] == 1;
    }
    REQUIRE(count >= 1);
    REQUIRE(count <= 4);
    ++with_labels[count];
    for (const uint8_t pixel : read_image(train, i)) mean += pixel;
  }
  for (int count = 1; count <= 4; ++count) CHECK(with_labels[count] > 80);
  for (const int count : by_class) CHECK(count > 150);
  // Built of target photographs only, as the whole target split shows in order.
  const LabelledImages raw = read_idx(kFolder, "train", "");
  const auto whole = load("mosaic", "target", 0).train;
  REQUIRE(whole->size() == 10000);
  for (const int64_t i : {0, 1, 2, 3, 4, 5, 4321, 9999}) {
    std::vector<const uint8_t*> photos;
    std::vector<float> labels(10), row(10);
    for (const int64_t garment : mosaic_garments(50000 + i, 50000 + i, 50000, 60000)) {
      REQUIRE(garment >= 50000);
      photos.push_back(&raw.pixels[garment * 784]);
      labels[raw.labels[garment]] = 1;
    }
    Bytes canvas(64 * 64);
    render_mosaic(photos, 50000 + i, canvas.data());
    CHECK(read_image(*whole, i) == in_color(canvas));
    whole->target(i, row.data());
    CHECK(row == labels);
  }
  mean /= 1000.0 * 64 * 64 * 3 * 255;
  CHECK(mean > 0.4);
  CHECK(mean < 0.55);
}
