// A folder of images by class, decoded when they are read.
#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include "data/image.h"
#include "data/sources.h"
#include "kernels/check.h"

namespace basin::data {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kDefaultSide = 224;
constexpr size_t kNamedDefects = 10;  // how many bad files a message lists

struct Entries {
  std::vector<std::string> paths;
  std::vector<int32_t> labels;
  std::vector<int64_t> rank_in_class;  // in the order of the names
  std::vector<int64_t> class_sizes;
};

class ImageFolder : public Dataset {
 public:
  ImageFolder(DatasetInfo info, std::vector<std::string> paths, std::vector<int32_t> labels,
              bool skip_bad)
      : Dataset(std::move(info), std::move(labels)),
        paths_(std::move(paths)),
        skip_bad_(skip_bad),
        reported_(std::make_unique<std::atomic<bool>[]>(paths_.size())) {}

  void read(int64_t index, uint8_t* pixels) const override {
    resize_and_center_crop(decode(index), height(), pixels);
  }

  // torchvision's RandomResizedCrop and a horizontal flip.
  void read_augmented(int64_t index, RandomStream random, uint8_t* pixels) const override {
    const Image image = decode(index);
    const CropBox box = random_resized_crop(image.height, image.width, random);
    const bool flip = (random.bits() >> 31) != 0;
    if (!flip) {
      resize_bilinear(image, box, height(), width(), pixels);
      return;
    }
    std::vector<uint8_t> resized(image_bytes());
    resize_bilinear(image, box, height(), width(), resized.data());
    shift_and_flip(resized.data(), height(), width(), 0, 0, true, pixels);
  }

 private:
  // Image `index`, or, where it is bad and bad images are skipped, the next one of its class.
  Image decode(int64_t index) const {
    check_index(index);
    if (!skip_bad_) return decode_image(paths_[index]);
    for (int64_t step = 0; step < size(); ++step) {
      const int64_t candidate = (index + step) % size();
      if (label(candidate) != label(index)) continue;
      try {
        return decode_image(paths_[candidate]);
      } catch (const Error& error) {
        report(candidate, error);
      }
    }
    throw Error(
        concat(paths_[index], ": neither this nor any other image of its class can be read"));
  }

  void report(int64_t index, const Error& error) const {
    if (reported_[index].exchange(true)) return;
    std::fprintf(stderr, "%s: bad image %lld, replaced by the next of its class: %s\n",
                 name().c_str(), static_cast<long long>(++bad_count_), error.what());
  }

  std::vector<std::string> paths_;
  bool skip_bad_;
  std::unique_ptr<std::atomic<bool>[]> reported_;  // [size]
  mutable std::atomic<int64_t> bad_count_ = 0;
};

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

// Names in a folder, sorted, so that the order does not depend on the file system.
std::vector<fs::path> sorted_entries(const fs::path& directory) {
  std::vector<fs::path> entries;
  try {
    for (const auto& entry : fs::directory_iterator(directory)) entries.push_back(entry.path());
  } catch (const fs::filesystem_error& error) {
    throw Error(concat(directory.string(), ": cannot be listed: ", error.code().message()));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

// The images of `root`, a folder of one folder a class. Checks every header.
Entries scan(const fs::path& root, const std::vector<std::string>& class_names, bool skip_bad,
             const std::string& remedy) {
  Entries entries;
  std::vector<std::string> defects;
  entries.class_sizes.resize(class_names.size());
  for (const fs::path& directory : sorted_entries(root)) {
    if (!fs::is_directory(directory)) continue;
    const auto found = std::find(class_names.begin(), class_names.end(), directory.filename());
    BASIN_CHECK(found != class_names.end(), directory.string(),
                ": a class that the training images do not have; ", remedy);
    const auto label = found - class_names.begin();
    for (const fs::path& path : sorted_entries(directory)) {
      if (!is_image_name(path)) continue;
      const std::string defect = image_defect(path.string());
      if (!defect.empty()) {
        defects.push_back(path.string() + ": " + defect);
        continue;
      }
      entries.paths.push_back(path.string());
      entries.labels.push_back(static_cast<int32_t>(label));
      entries.rank_in_class.push_back(entries.class_sizes[label]++);
    }
  }
  if (!defects.empty()) {
    std::string list;
    for (size_t i = 0; i < std::min(defects.size(), kNamedDefects); ++i)
      list += "\n  " + defects[i];
    if (defects.size() > kNamedDefects) list += "\n  ...";
    const std::string message =
        concat(root.string(), ": ", defects.size(), " of ", defects.size() + entries.paths.size(),
               " images cannot be read:", list);
    BASIN_CHECK(skip_bad, message, "\nremove or repair them, or pass --skip-bad to go on without");
    std::fprintf(stderr, "%s\nthey are skipped\n", message.c_str());
  }
  BASIN_CHECK(!entries.paths.empty(), root.string(), ": no images found; ", remedy);
  return entries;
}

}  // namespace

DataSplits load_image_folder(const std::string& directory, const DataOptions& options) {
  const std::string remedy =
      concat("imagefolder:", directory,
             " expects train/CLASS/*.{png,jpg,jpeg}, and test/ or val/ with the same classes");
  const fs::path train_root = fs::path(directory) / "train";
  fs::path test_root = fs::path(directory) / "test";
  if (!fs::is_directory(test_root)) test_root = fs::path(directory) / "val";
  for (const fs::path& root : {train_root, test_root}) {
    BASIN_CHECK(fs::is_directory(root), root.string(), ": no such folder; ", remedy);
  }
  DatasetInfo info;
  info.height = info.width = options.image_size == 0 ? kDefaultSide : options.image_size;
  BASIN_CHECK(info.height >= 8 && info.height <= 1024, "image_size ", options.image_size,
              ", expected 8..1024");
  info.mean = {0.485f, 0.456f, 0.406f};  // ImageNet's, as the paper uses for every domain
  info.stddev = {0.229f, 0.224f, 0.225f};
  for (const fs::path& entry : sorted_entries(train_root)) {
    if (fs::is_directory(entry)) info.class_names.push_back(entry.filename().string());
  }
  const Entries train = scan(train_root, info.class_names, options.skip_bad, remedy);
  const Entries test = scan(test_root, info.class_names, options.skip_bad, remedy);
  const auto classes = static_cast<int64_t>(info.class_names.size());
  for (int64_t c = 0; c < classes; ++c) {
    BASIN_CHECK(train.class_sizes[c] > 0, (train_root / info.class_names[c]).string(),
                ": no image of this class can be read; ", remedy);
  }
  const auto take = [&](const Entries& entries, const std::vector<int64_t>& indices,
                        const fs::path& root) {
    std::vector<std::string> paths;
    std::vector<int32_t> labels;
    for (const int64_t i : indices) {
      paths.push_back(entries.paths[i]);
      labels.push_back(entries.labels[i]);
    }
    DatasetInfo named = info;
    named.name = "imagefolder:" + root.string();
    return std::make_shared<const ImageFolder>(named, std::move(paths), std::move(labels),
                                               options.skip_bad);
  };
  // The files lie class by class, so the border of the source split is drawn in every class.
  const auto in_source = [&](int64_t i) {
    return train.rank_in_class[i] < source_count(train.class_sizes[train.labels[i]]);
  };
  return {take(train, select_train(train.labels, classes, in_source, options), train_root),
          take(test, select_test(test.labels, classes, options), test_root)};
}

}  // namespace basin::data
