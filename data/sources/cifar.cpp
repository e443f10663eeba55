// CIFAR-10 and CIFAR-100 in their binary version: records of label bytes and 3 planes of 32x32.
#include <array>
#include <filesystem>
#include <fstream>

#include "data/array_dataset.h"
#include "data/file.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

constexpr int64_t kCifarSide = 32, kPlane = kCifarSide * kCifarSide;

// The two sets differ in this.
struct Cifar {
  std::vector<const char*> train_files;
  const char *test_file, *names_file;
  int64_t label_bytes, classes;
  std::array<float, 3> mean, stddev;  // of the training images, as is customary
};

// The records of the files one after the other. The last label byte of a record is the class:
// CIFAR-100 has the coarse label before the fine one.
LabelledImages read_records(const std::filesystem::path& directory,
                            const std::vector<const char*>& files, const Cifar& cifar,
                            const std::string& remedy) {
  LabelledImages images{kCifarSide, kCifarSide, {}, {}};
  for (const char* file : files) {
    const std::string path = (directory / file).string();
    const auto bytes = read_file(path, remedy);
    const int64_t record = cifar.label_bytes + 3 * kPlane;
    const auto size = static_cast<int64_t>(bytes.size());
    BASIN_CHECK(size % record == 0, path, ": ", size, " bytes, expected a multiple of ", record,
                " (one record); ", remedy);
    for (int64_t at = 0; at < size; at += record) {
      const int32_t label = bytes[at + cifar.label_bytes - 1];
      BASIN_CHECK(label < cifar.classes, path, ": record ", at / record, " has label ", label,
                  ", expected 0..", cifar.classes - 1, "; ", remedy);
      images.labels.push_back(label);
      const uint8_t* planes = &bytes[at + cifar.label_bytes];
      for (int64_t p = 0; p < kPlane; ++p) {
        for (int64_t c = 0; c < 3; ++c) images.pixels.push_back(planes[c * kPlane + p]);
      }
    }
  }
  return images;
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

DataSplits load_cifar(const Cifar& cifar, const std::filesystem::path& directory,
                      const DataOptions& options) {
  const std::string remedy =
      concat(options.spec, " expects the files of the binary version, ", cifar.train_files.front(),
             cifar.train_files.size() > 1 ? concat(" to ", cifar.train_files.back()) : "", " and ",
             cifar.test_file);
  DatasetInfo info;
  info.class_names = class_names((directory / cifar.names_file).string(), cifar.classes);
  info.mean = cifar.mean;
  info.stddev = cifar.stddev;
  const LabelledImages train = read_records(directory, cifar.train_files, cifar, remedy);
  const LabelledImages test = read_records(directory, {cifar.test_file}, cifar, remedy);
  return split_arrays(info, train, test, options);
}

}  // namespace

DataSplits load_cifar10(const std::string& directory, const DataOptions& options) {
  return load_cifar({{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                      "data_batch_4.bin", "data_batch_5.bin"},
                     "test_batch.bin",
                     "batches.meta.txt",
                     1,
                     10,
                     {0.4914f, 0.4822f, 0.4465f},
                     {0.2470f, 0.2435f, 0.2616f}},
                    directory, options);
}

DataSplits load_cifar100(const std::string& directory, const DataOptions& options) {
  return load_cifar({{"train.bin"},
                     "test.bin",
                     "fine_label_names.txt",
                     2,
                     100,
                     {0.5071f, 0.4865f, 0.4409f},
                     {0.2673f, 0.2564f, 0.2762f}},
                    directory, options);
}

}  // namespace basin::data
