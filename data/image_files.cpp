// Reads image files, and crops them as torchvision does.
#include "data/image_files.h"

#include <algorithm>
#include <cstdio>

#include "data/selection.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"

namespace basin::data {

namespace {

constexpr int64_t kDefaultSide = 224;
constexpr size_t kNamedDefects = 10;  // how many bad files a message lists

class PhotoFiles final : public ImageFiles {
 public:
  PhotoFiles(DatasetInfo info, LabelledFiles files, bool skip_bad)
      : ImageFiles(std::move(info), std::move(files.paths), std::move(files.labels), skip_bad) {}

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
    shift_and_flip(resized.data(), height(), width(), {0, 0, true}, pixels);
  }
};

}  // namespace

std::vector<int64_t> readable_images(const std::vector<std::string>& paths,
                                     const std::string& source, bool skip_bad,
                                     const std::string& remedy) {
  std::vector<std::string> found(paths.size());
  parallel_chunks(static_cast<int64_t>(paths.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) found[i] = image_defect(paths[i]);
  });
  std::vector<int64_t> readable;
  std::string list;
  size_t defects = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (found[i].empty()) {
      readable.push_back(static_cast<int64_t>(i));
    } else if (defects++ < kNamedDefects || skip_bad) {
      list += "\n  " + paths[i] + ": " + found[i];
    }
  }
  if (defects > 0) {
    const std::string message =
        concat(source, ": ", defects, " of ", paths.size(), " images cannot be read:", list);
    BASIN_CHECK(skip_bad, message, defects > kNamedDefects ? "\n  ..." : "",
                "\nremove or repair them, or pass --skip-bad to go on without; ", remedy);
    std::fprintf(stderr, "%s\nthey are skipped\n", message.c_str());
  }
  BASIN_CHECK(!readable.empty(), source, ": no images found; ", remedy);
  return readable;
}

int64_t image_side(const DataOptions& options) {
  const int64_t side = options.image_size == 0 ? kDefaultSide : options.image_size;
  BASIN_CHECK(side >= 8 && side <= 1024, options.spec, ": image_size ", options.image_size,
              ", expected 8..1024");
  return side;
}

ImageFiles::ImageFiles(DatasetInfo info, std::vector<std::string> paths, Labels labels,
                       bool skip_bad)
    : Dataset(std::move(info), std::move(labels)),
      paths_(std::move(paths)),
      skip_bad_(skip_bad),
      reported_(std::make_unique<std::atomic<bool>[]>(paths_.size())) {}

Image ImageFiles::decode(int64_t index) const {
  check_index(index);
  if (!skip_bad_) return decode_image(paths_[index]);
  for (int64_t step = 0; step < size(); ++step) {
    const int64_t candidate = (index + step) % size();
    if (!same_labels(candidate, index)) continue;
    try {
      return decode_image(paths_[candidate]);
    } catch (const Error& error) {
      report(candidate, error.what());
    }
  }
  throw Error(concat(paths_[index],
                     ": neither this nor any other image of its class or labels can be read"));
}

bool ImageFiles::same_labels(int64_t a, int64_t b) const {
  if (!multi_label()) return label(a) == label(b);
  std::vector<float> row_a(classes()), row_b(classes());
  target(a, row_a.data());
  target(b, row_b.data());
  return row_a == row_b;
}

void ImageFiles::report(int64_t index, const std::string& error) const {
  if (reported_[index].exchange(true)) return;
  std::fprintf(stderr, "%s: bad image %lld, replaced by the next with the same labels: %s\n",
               name().c_str(), static_cast<long long>(++bad_count_), error.c_str());
}

void LabelledFiles::keep(const std::vector<int64_t>& positions) {
  LabelledFiles kept{name, {}, {}};
  for (const int64_t i : positions) {
    kept.paths.push_back(paths[i]);
    kept.labels.push_back(labels[i]);
  }
  *this = std::move(kept);
}

DataSplits split_photos(DatasetInfo info, LabelledFiles train, LabelledFiles test,
                        const DataOptions& options) {
  info.height = info.width = image_side(options);
  info.mean = {0.485f, 0.456f, 0.406f};  // ImageNet's, as the paper uses for every domain
  info.stddev = {0.229f, 0.224f, 0.225f};
  const auto classes = static_cast<int64_t>(info.class_names.size());
  std::vector<int64_t> class_sizes(classes), rank_in_class;
  for (const int32_t label : train.labels) rank_in_class.push_back(class_sizes[label]++);
  // Files may lie class by class, so the border of the source split is drawn in every class.
  const auto in_source = [&](int64_t i) {
    return rank_in_class[i] < source_count(class_sizes[train.labels[i]]);
  };
  const auto train_positions = select_train(train.labels, classes, in_source, options);
  const auto test_positions = select_test(test.labels, classes, options);
  train.keep(train_positions);
  test.keep(test_positions);
  DataSplits splits;
  info.name = train.name;
  splits.train = std::make_shared<const PhotoFiles>(info, std::move(train), options.skip_bad);
  info.name = test.name;
  splits.test = std::make_shared<const PhotoFiles>(info, std::move(test), options.skip_bad);
  return splits;
}

}  // namespace basin::data
