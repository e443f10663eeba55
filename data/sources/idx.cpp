// Reads IDX files and makes a data set of them.
#include "data/sources/idx.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/file.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

struct IdxFile {
  std::string path;
  std::vector<int64_t> dims;
  std::vector<uint8_t> values;
};

// An IDX file of unsigned bytes with `rank` dimensions.
IdxFile read_idx_file(const std::string& directory, const std::string& name, size_t rank,
                      const std::string& remedy) {
  IdxFile file;
  file.path = (std::filesystem::path(directory) / name).string();
  if (!std::filesystem::exists(file.path) && std::filesystem::exists(file.path + ".gz")) {
    file.path += ".gz";
  }
  BASIN_CHECK(std::filesystem::exists(file.path), file.path, ": no such file, nor with .gz; ",
              remedy);
  file.values = read_file(file.path, remedy);
  const auto& bytes = file.values;
  const size_t header = 4 + 4 * rank;
  BASIN_CHECK(bytes.size() >= header, file.path, ": ", bytes.size(),
              " bytes, too short for the IDX header of ", header, " bytes; ", remedy);
  const auto word = [&](size_t at) {
    return int64_t{bytes[at]} << 24 | int64_t{bytes[at + 1]} << 16 | int64_t{bytes[at + 2]} << 8 |
           int64_t{bytes[at + 3]};
  };
  const int64_t magic = 0x0800 | static_cast<int64_t>(rank);
  BASIN_CHECK(word(0) == magic, file.path, ": IDX magic number ", word(0), ", expected ", magic,
              " (unsigned bytes, ", rank, " dimensions); ", remedy);
  const auto available = static_cast<int64_t>(bytes.size() - header);
  std::string shape;
  int64_t product = 1;
  bool fits = true;  // the product so far is at most what the file holds: it cannot overflow
  for (size_t d = 0; d < rank; ++d) {
    const int64_t dim = word(4 + 4 * d);
    file.dims.push_back(dim);
    shape += concat(d > 0 ? "x" : "", dim);
    BASIN_CHECK(dim > 0, file.path, ": dimension ", d, " of the IDX header is 0; ", remedy);
    fits = fits && dim <= available / product;
    if (fits) product *= dim;
  }
  BASIN_CHECK(fits && product == available, file.path, ": the IDX header promises ", shape,
              " bytes, ", available, " follow it; ", remedy);
  file.values.erase(file.values.begin(), file.values.begin() + static_cast<int64_t>(header));
  return file;
}

}  // namespace

LabelledImages read_idx(const std::string& directory, const std::string& prefix,
                        const std::string& remedy) {
  auto images = read_idx_file(directory, prefix + "-images-idx3-ubyte", 3, remedy);
  const auto labels = read_idx_file(directory, prefix + "-labels-idx1-ubyte", 1, remedy);
  BASIN_CHECK(images.dims[0] == labels.dims[0], images.path, ": ", images.dims[0], " images, but ",
              labels.path, " has ", labels.dims[0], " labels; ", remedy);
  return {images.dims[1],
          images.dims[2],
          {labels.values.begin(), labels.values.end()},
          std::move(images.values)};
}

DataSplits load_idx(const std::string& directory, const DataOptions& options) {
  const std::string remedy = concat("idx:", directory,
                                    " expects MNIST's four files (train- and t10k-, "
                                    "images-idx3-ubyte and labels-idx1-ubyte, plain or .gz)");
  LabelledImages train = read_idx(directory, "train", remedy);
  const LabelledImages test = read_idx(directory, "t10k", remedy);
  BASIN_CHECK(train.height == test.height && train.width == test.width, directory,
              ": training images are ", train.height, "x", train.width, ", test images ",
              test.height, "x", test.width, "; ", remedy);
  const int64_t classes = *std::max_element(train.labels.begin(), train.labels.end()) + 1;
  const int64_t test_classes = *std::max_element(test.labels.begin(), test.labels.end()) + 1;
  BASIN_CHECK(test_classes <= classes, directory, ": a test label is ", test_classes - 1,
              ", but training labels end at ", classes - 1, "; ", remedy);

  DatasetInfo info;
  for (int64_t c = 0; c < classes; ++c) info.class_names.push_back(std::to_string(c));
  double sum = 0, squares = 0;
  for (const uint8_t pixel : train.pixels) {
    sum += pixel / 255.0;
    squares += pixel / 255.0 * (pixel / 255.0);
  }
  const double mean = sum / static_cast<double>(train.pixels.size());
  const double variance = squares / static_cast<double>(train.pixels.size()) - mean * mean;
  BASIN_CHECK(variance > 1e-9, directory, ": all training pixels have the same value; ", remedy);
  info.mean.fill(static_cast<float>(mean));
  info.stddev.fill(static_cast<float>(std::sqrt(variance)));

  train.mirror = false;  // digits and letters do not survive it
  return split_arrays(info, train, test, options);
}

}  // namespace basin::data
