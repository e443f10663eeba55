// CIFAR-10 and CIFAR-100 in their binary version: records of label bytes and 3 planes of 32x32.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "data/file.h"
#include "data/sources/sources.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

constexpr int64_t kCifarSide = 32, kPlane = kCifarSide * kCifarSide;

struct Records {
  std::vector<int32_t> labels;
  std::vector<uint8_t> planes;  // [size, 3, 32, 32]
};

// Appends the records of one file. The last label byte of a record is the class: CIFAR-100 has the
// coarse label before the fine one.
void append_records(const std::string& path, int64_t label_bytes, int64_t classes,
                    const std::string& remedy, Records& records) {
  const auto bytes = read_file(path, remedy);
  const int64_t record = label_bytes + 3 * kPlane;
  const auto size = static_cast<int64_t>(bytes.size());
  BASIN_CHECK(size % record == 0, path, ": ", size, " bytes, expected a multiple of ", record,
              " (one record); ", remedy);
  for (int64_t at = 0; at < size; at += record) {
    const int32_t label = bytes[at + label_bytes - 1];
    BASIN_CHECK(label < classes, path, ": record ", at / record, " has label ", label,
                ", expected 0..", classes - 1, "; ", remedy);
    records.labels.push_back(label);
    records.planes.insert(records.planes.end(), &bytes[at] + label_bytes, &bytes[at] + record);
  }
}

// The lines of a file of class names, or the numbers of the classes where there is no such file.
std::vector<std::string> class_names(const std::string& path, int64_t classes) {
  std::vector<std::string> names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) names.push_back(line);
  }
  BASIN_CHECK(names.empty() || static_cast<int64_t>(names.size()) == classes, path, ": ",
              names.size(), " class names, expected ", classes, "; remove or repair the file");
  if (names.empty()) {
    for (int64_t c = 0; c < classes; ++c) names.push_back(std::to_string(c));
  }
  return names;
}

}  // namespace

DataSplits load_cifar(const std::string& kind, const std::string& directory,
                      const DataOptions& options) {
  check_image_size(options, kCifarSide);
  const bool ten = kind == "cifar10";
  const int64_t classes = ten ? 10 : 100, label_bytes = ten ? 1 : 2;
  const auto path = [&](const std::string& file) {
    return (std::filesystem::path(directory) / file).string();
  };
  const std::string remedy = concat(
      kind, ":", directory, " expects the files of the binary version, ",
      ten ? "data_batch_1.bin to data_batch_5.bin and test_batch.bin" : "train.bin and test.bin");
  Records train, test;
  if (ten) {
    for (int batch = 1; batch <= 5; ++batch) {
      append_records(path(concat("data_batch_", batch, ".bin")), label_bytes, classes, remedy,
                     train);
    }
  } else {
    append_records(path("train.bin"), label_bytes, classes, remedy, train);
  }
  append_records(path(ten ? "test_batch.bin" : "test.bin"), label_bytes, classes, remedy, test);

  DatasetInfo info;
  info.height = info.width = kCifarSide;
  info.class_names = class_names(path(ten ? "batches.meta.txt" : "fine_label_names.txt"), classes);
  // Customary values: the statistics of the training images.
  info.mean = ten ? std::array{0.4914f, 0.4822f, 0.4465f} : std::array{0.5071f, 0.4865f, 0.4409f};
  info.stddev = ten ? std::array{0.2470f, 0.2435f, 0.2616f} : std::array{0.2673f, 0.2564f, 0.2762f};

  const auto take = [&](const Records& records, const std::vector<int64_t>& indices,
                        const std::string& name) {
    std::vector<int32_t> labels;
    std::vector<uint8_t> pixels(indices.size() * 3 * kPlane);
    uint8_t* out = pixels.data();
    for (const int64_t i : indices) {
      labels.push_back(records.labels[i]);
      const uint8_t* planes = &records.planes[i * 3 * kPlane];
      for (int64_t p = 0; p < kPlane; ++p) {
        for (int64_t c = 0; c < 3; ++c) *out++ = planes[c * kPlane + p];
      }
    }
    DatasetInfo named = info;
    named.name = concat(kind, ":", directory, " ", name);
    return std::make_shared<const ArrayDataset>(named, std::move(labels), std::move(pixels));
  };
  const int64_t border = source_count(static_cast<int64_t>(train.labels.size()));
  const auto in_source = [&](int64_t i) { return i < border; };
  return {take(train, select_train(train.labels, classes, in_source, options), "train"),
          take(test, select_test(test.labels, classes, options), "test")};
}

}  // namespace basin::data
