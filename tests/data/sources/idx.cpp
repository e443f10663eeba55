// IDX files as they should be, and every way in which they may not be; which images a split has.
#include <set>

#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

constexpr uint32_t kTrainItems = 60, kTestItems = 12, kIdxHeight = 5, kIdxWidth = 5, kPlane = 25;

// Pixel 0 of image i is i, so that an image tells its index; labels are i % 3.
Bytes idx_images(uint32_t count) {
  Bytes values;
  for (uint32_t i = 0; i < count * kPlane; ++i) {
    values.push_back(static_cast<uint8_t>(i % kPlane == 0 ? i / kPlane : i * 7));
  }
  return idx_bytes({count, kIdxHeight, kIdxWidth}, values);
}
Bytes idx_labels(uint32_t count) {
  Bytes values;
  for (uint32_t i = 0; i < count; ++i) values.push_back(static_cast<uint8_t>(i % 3));
  return idx_bytes({count}, values);
}

void write_idx_files(const DataFolder& folder) {
  write_file(folder.path("train-images-idx3-ubyte.gz"), gzip(idx_images(kTrainItems)));
  write_file(folder.path("train-labels-idx1-ubyte"), idx_labels(kTrainItems));
  write_file(folder.path("t10k-images-idx3-ubyte"), idx_images(kTestItems));
  write_file(folder.path("t10k-labels-idx1-ubyte.gz"), gzip(idx_labels(kTestItems)));
}

DataOptions idx_options(const DataFolder& folder) {
  return {.spec = "idx:" + folder.path(), .data_dir = {}};
}

// The indices in the file of the images of a split, read off the images.
std::vector<int64_t> indices_of(const Dataset& dataset) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < dataset.size(); ++i) indices.push_back(read_image(dataset, i)[0]);
  return indices;
}

}  // namespace

TEST_CASE("IDX files, plain and gzip, give their images and labels") {
  const DataFolder folder;
  write_idx_files(folder);
  const DataSplits splits = load_data(idx_options(folder));
  CHECK(splits.train->size() == kTrainItems);
  CHECK(splits.test->size() == kTestItems);
  CHECK(splits.train->height() == kIdxHeight);
  CHECK(splits.train->width() == kIdxWidth);
  CHECK(splits.train->classes() == 3);
  for (const int64_t i : {0, 1, 17, 59}) {
    const Bytes pixels = read_image(*splits.train, i);
    for (uint32_t p = 0; p < kPlane; ++p) {
      const auto at = static_cast<uint32_t>(i) * kPlane + p;
      const auto expected = static_cast<uint8_t>(p == 0 ? i : at * 7);
      CHECK(pixels[3 * p] == expected);
      CHECK(pixels[3 * p + 1] == expected);
      CHECK(pixels[3 * p + 2] == expected);
    }
    CHECK(splits.train->label(i) == i % 3);
    float row[3];
    splits.train->target(i, row);
    for (int c = 0; c < 3; ++c) CHECK(row[c] == (c == i % 3 ? 1.0f : 0.0f));
  }
  CHECK_THROWS_AS(read_image(*splits.train, kTrainItems), Error);
  CHECK_THROWS_AS(splits.train->label(-1), Error);
}

TEST_CASE("source and target never share an image, and draws are balanced and follow the seed") {
  const DataFolder folder;
  write_idx_files(folder);
  DataOptions options = idx_options(folder);
  options.split = "source";
  const auto source = indices_of(*load_data(options).train);
  std::vector<int64_t> first_fifty(50);
  std::iota(first_fifty.begin(), first_fifty.end(), 0);
  CHECK(source == first_fifty);

  options.split = "target";
  CHECK(indices_of(*load_data(options).train) ==
        std::vector<int64_t>{50, 51, 52, 53, 54, 55, 56, 57, 58, 59});
  options.train_size = 5;
  options.test_size = 4;
  std::set<std::vector<int64_t>> draws;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    options.seed = seed;
    const DataSplits splits = load_data(options);
    const auto target = indices_of(*splits.train);
    CHECK(target == indices_of(*load_data(options).train));
    draws.insert(target);
    REQUIRE(target.size() == 5);
    std::vector<int> by_class(3);
    for (int64_t i = 0; i < 5; ++i) {
      CHECK(target[i] >= 50);
      CHECK(splits.train->label(i) == target[i] % 3);
      ++by_class[target[i] % 3];
    }
    CHECK(std::set<int64_t>(target.begin(), target.end()).size() == 5);
    CHECK(by_class == std::vector<int>{2, 2, 1});
    CHECK(indices_of(*splits.test) == std::vector<int64_t>{0, 1, 2, 3});  // 2 + 1 + 1, the first
  }
  CHECK(draws.size() > 4);

  options.train_size = 12;  // 4 of every class, but there are 3 or 4 of each in the target split
  const std::string error = load_error(options);
  CHECK(contains(error, "train_size 12 needs 4 images of class"));
  options.train_size = 2;
  CHECK(contains(load_error(options), "at least one image a class"));
}

TEST_CASE("specs and options that make no sense are refused by name") {
  const DataFolder folder;
  write_idx_files(folder);
  const auto refused = [&](auto change) {
    DataOptions options = idx_options(folder);
    change(options);
    return load_error(options);
  };
  CHECK(contains(refused([](auto& o) { o.spec = "mnist"; }), "unknown data set 'mnist'"));
  CHECK(contains(refused([](auto& o) { o.spec = "mnist"; }), "fashion/photo, "));
  CHECK(contains(refused([](auto& o) { o.spec = "mnist"; }), ", domainnet:DIR/DOMAIN, "));
  CHECK(contains(refused([](auto& o) { o.spec = "fashion/photo:here"; }), "unknown data set"));
  CHECK(contains(help(), "\nidx:DIR (MNIST's four files)\n"));
  CHECK(contains(refused([](auto& o) { o.spec = "fashion/photos"; }), "fashion/photos"));
  CHECK(contains(refused([](auto& o) { o.spec = "cifar10"; }), "cifar10:DIR"));
  CHECK(contains(refused([](auto& o) { o.split = "validation"; }), "'validation'"));
  CHECK(contains(refused([](auto& o) { o.train_size = -1; }), "-1"));
  CHECK(contains(refused([](auto& o) { o.image_size = 224; }), "image_size 224"));
}

TEST_CASE("malformed IDX files are refused with file, finding, expectation and remedy") {
  struct Case {
    const char* file;
    Bytes bytes;
    const char* finding;
  };
  Bytes truncated = idx_images(kTrainItems);
  truncated.resize(truncated.size() - 1);
  Bytes overlong = idx_images(kTrainItems);
  overlong.push_back(0);
  Bytes truncated_gzip = gzip(idx_images(kTrainItems));
  truncated_gzip.resize(truncated_gzip.size() / 2);
  Bytes no_trailer = gzip(idx_images(kTrainItems));
  no_trailer.resize(no_trailer.size() - 3);
  Bytes wrong_crc = gzip(idx_images(kTrainItems));
  wrong_crc[wrong_crc.size() - 8] ^= 1;
  Bytes wrong_length = gzip(idx_images(kTrainItems));
  wrong_length[wrong_length.size() - 4] ^= 1;
  Bytes broken_body = gzip(idx_images(kTrainItems));
  for (size_t i = 12; i < 40; ++i) broken_body[i] = 0xff;
  Bytes trailing = gzip(idx_images(kTrainItems));
  trailing.push_back(7);
  Bytes wrong_magic = idx_images(kTrainItems);
  wrong_magic[2] = 0x0d;  // floats
  const Bytes high_label = [] {
    Bytes bytes = idx_labels(kTestItems);
    bytes.back() = 9;
    return bytes;
  }();
  const std::string images = "train-images-idx3-ubyte.gz", labels = "train-labels-idx1-ubyte";
  const Case cases[] = {
      {images.c_str(), {}, "the file is empty"},
      {images.c_str(), {0, 0, 8}, "3 bytes, too short for the IDX header of 16"},
      {images.c_str(), truncated, "promises 60x5x5 bytes, 1499 follow"},
      {images.c_str(), overlong, "promises 60x5x5 bytes, 1501 follow"},
      {images.c_str(), truncated_gzip, "truncated gzip file"},
      {images.c_str(), no_trailer, "truncated gzip file"},
      {images.c_str(), wrong_crc, "incorrect data check"},
      {images.c_str(), wrong_length, "incorrect length check"},
      {images.c_str(), broken_body, "corrupted gzip file"},
      {images.c_str(), trailing, "1 bytes follow the end of the gzip data"},
      {images.c_str(), {0x1f, 0x8b}, "truncated gzip file"},
      {images.c_str(), wrong_magic, "magic number 3331, expected 2051"},
      {images.c_str(), idx_labels(kTrainItems), "magic number 2049, expected 2051"},
      {images.c_str(), idx_bytes({0, 5, 5}, {}), "dimension 0 of the IDX header is 0"},
      {images.c_str(), idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, Bytes(64)),
       "promises 4294967295x4294967295x4294967295 bytes, 64 follow"},
      // 2^22 * 2^21 * 2^21 = 2^64: 0 in 64 bits.
      {images.c_str(), idx_bytes({1u << 22, 1u << 21, 1u << 21}, Bytes(64)), "64 follow"},
      {images.c_str(), idx_images(kTrainItems - 1), "59 images, but"},
      {labels.c_str(), idx_labels(kTrainItems + 1), "has 61 labels"},
      {labels.c_str(), idx_images(kTrainItems), "magic number 2051, expected 2049"},
      {"t10k-labels-idx1-ubyte.gz", gzip(high_label), "a test label is 9"},
      {"t10k-images-idx3-ubyte", idx_bytes({kTestItems, 1, 25}, Bytes(kTestItems * 25)),
       "test images 1x25"},
      {images.c_str(), idx_bytes({kTrainItems, 5, 5}, Bytes(kTrainItems * 25, 3)),
       "the same value"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.finding);
    const DataFolder folder;
    write_idx_files(folder);
    write_file(folder.path(c.file), c.bytes);
    const std::string error = load_error(idx_options(folder));
    CAPTURE(error);
    CHECK(contains(error, folder.path()));
    CHECK(contains(error, c.finding));
    CHECK(contains(error, "expects MNIST's four files"));
  }
  const DataFolder folder;
  write_idx_files(folder);
  std::filesystem::remove(folder.path(images));
  CHECK(contains(load_error(idx_options(folder)),
                 folder.path("train-images-idx3-ubyte") + ": no such file"));
  std::filesystem::create_directory(folder.path(images));
  CHECK(contains(load_error(idx_options(folder)), "not a regular file"));
}
