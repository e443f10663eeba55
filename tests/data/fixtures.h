// Temporary folders, hand-made files, and small data sets for the tests of data/.
#pragma once

#include <doctest/doctest.h>
#include <stb_image_write.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "data/array_dataset.h"
#include "data/sources/registry.h"
#include "kernels/base/check.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace basin::data {

using Bytes = std::vector<uint8_t>;
using test::contains, test::error_of;

// A temporary folder that gives the paths of its files as strings.
struct DataFolder : TemporaryFolder {
  std::string path(const std::string& file = "") const {
    return (TemporaryFolder::path / file).string();
  }
};

inline void write_file(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

inline void write_text(const std::string& path, const std::string& text) {
  write_file(path, Bytes(text.begin(), text.end()));
}

// A flat picture of 20 x 30; its red value tells which it is.
inline void write_flat(const std::string& path, uint8_t red) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Bytes pixels(20 * 30 * 3, 50);
  for (size_t i = 0; i < pixels.size(); i += 3) pixels[i] = red;
  const bool jpeg = !path.ends_with(".png");
  REQUIRE((jpeg ? stbi_write_jpg(path.c_str(), 30, 20, 3, pixels.data(), 100)
                : stbi_write_png(path.c_str(), 30, 20, 3, pixels.data(), 90)));
}

// Cuts a file off after `share` of its bytes.
inline void truncate(const std::string& path, double share) {
  std::filesystem::resize_file(
      path, static_cast<uintmax_t>(share * static_cast<double>(std::filesystem::file_size(path))));
}

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, bytes.size()) + 32);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// The message with which loading fails; "" where it does not.
inline std::string load_error(const DataOptions& options) {
  return error_of([&] { load_data(options); });
}

// An IDX file of unsigned bytes.
inline Bytes idx_bytes(const std::vector<uint32_t>& dims, const Bytes& values) {
  Bytes bytes{0, 0, 8, static_cast<uint8_t>(dims.size())};
  for (const uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<uint8_t>(dim >> shift));
  }
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

// Square images, classes "0", "1" and so on.
inline DatasetInfo square_images(const std::string& name, int64_t side, int64_t classes,
                                 bool multi_label = false) {
  DatasetInfo info{name, side, side, {}, multi_label, {0.4f, 0.5f, 0.6f}, {0.2f, 0.25f, 0.3f}};
  for (int64_t c = 0; c < classes; ++c) info.class_names.push_back(std::to_string(c));
  return info;
}

inline Bytes read_image(const Dataset& dataset, int64_t index) {
  Bytes pixels(dataset.image_bytes());
  dataset.read(index, pixels.data());
  return pixels;
}

// Those of all images, one after the other.
inline Bytes read_images(const Dataset& dataset) {
  Bytes pixels;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Bytes image = read_image(dataset, i);
    pixels.insert(pixels.end(), image.begin(), image.end());
  }
  return pixels;
}

// `size` images [side, side, 3] of noise, classes in turn.
inline std::shared_ptr<const Dataset> noise_dataset(int64_t size, int64_t side, int64_t classes) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < size; ++i) labels.push_back(static_cast<int32_t>(i % classes));
  Bytes pixels(size * side * side * 3);
  RandomStream random(99, RandomPurpose::kNoise);
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random.bits());
  return std::make_shared<const ArrayDataset>(square_images("noise", side, classes), labels,
                                              pixels);
}

}  // namespace basin::data
