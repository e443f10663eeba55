// The fashion data sets: Fashion-MNIST's photographs, and three domains drawn from them.
#include <algorithm>

#include "data/selection.h"
#include "data/sources/fashion_render.h"
#include "data/sources/idx.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"

namespace basin::data {

namespace {

constexpr int64_t kClasses = 10;
constexpr int64_t kTrainSize = 60000, kTestSize = 10000;

// The numbers that seed the drawings: test images follow the training images.
constexpr int64_t kFirstTestNumber = kTrainSize;

// Mean and deviation of pixel / 255 over the 60,000 photographs as the domain photo shows them. All
// three domains are normalised by the photographs' values, as DomainNet is by ImageNet's in the
// paper: a network meets the target in the scale of its source.
constexpr float kPhotoMean = 0.7810f, kPhotoDeviation = 0.3318f;
// The mosaic is centred by (x - 128) / 64, like the X-rays of the paper.
constexpr float kMosaicMean = 128.0f / 255.0f, kMosaicDeviation = 64.0f / 255.0f;

LabelledImages read_split(const DataOptions& options, const std::string& prefix, int64_t expected) {
  const std::string directory =
      options.data_dir.empty() ? "/usr/share/datasets/fashion-mnist" : options.data_dir;
  const std::string remedy =
      "install the data with `apt-get install dataset-fashion-mnist`, or name the folder of its "
      "four files with --data-dir";
  LabelledImages split = read_idx(directory, prefix, remedy);
  const auto size = static_cast<int64_t>(split.labels.size());
  BASIN_CHECK(size == expected && split.height == kPhotoSide && split.width == kPhotoSide,
              directory, ": the ", prefix, " files hold ", size, " images of ", split.height, "x",
              split.width, ", expected ", expected, " of 28x28; ", remedy,
              " (other data in these files: idx:DIR)");
  const int32_t largest = *std::max_element(split.labels.begin(), split.labels.end());
  BASIN_CHECK(largest < kClasses, directory, ": a label of the ", prefix, " files is ", largest,
              ", expected 0..9; ", remedy);
  return split;
}

class Renderer {
 public:
  Renderer(const std::string& domain, const LabelledImages& photos, int64_t first_number,
           int64_t border)
      : domain_(domain), photos_(photos), first_number_(first_number), border_(border) {}

  // The images `indices` of the split, drawn in parallel.
  std::shared_ptr<const Dataset> render(DatasetInfo info,
                                        const std::vector<int64_t>& indices) const {
    const auto count = static_cast<int64_t>(indices.size());
    const int64_t bytes = info.height * info.width * (domain_ == "clipart" ? 3 : 1);
    std::vector<uint8_t> pixels(count * bytes);
    std::vector<uint8_t> label_rows(domain_ == "mosaic" ? count * kClasses : 0);
    parallel_chunks(count, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        uint8_t* row = label_rows.empty() ? nullptr : &label_rows[i * kClasses];
        render_one(indices[i], &pixels[i * bytes], row);
      }
    });
    if (info.multi_label) {
      return std::make_shared<const ArrayDataset>(info, std::move(label_rows), std::move(pixels));
    }
    std::vector<int32_t> labels;
    for (const int64_t i : indices) labels.push_back(photos_.labels[i]);
    return std::make_shared<const ArrayDataset>(info, std::move(labels), std::move(pixels));
  }

 private:
  const uint8_t* photo(int64_t index) const {
    return &photos_.pixels[index * kPhotoSide * kPhotoSide];
  }

  void render_one(int64_t index, uint8_t* pixels, uint8_t* label_row) const {
    const int64_t number = first_number_ + index;
    if (domain_ == "photo") {
      render_photo(photo(index), pixels);
    } else if (domain_ == "clipart") {
      render_clipart(photo(index), number, pixels);
    } else if (domain_ == "quickdraw") {
      render_quickdraw(photo(index), number, pixels);
    } else {
      // All garments of a mosaic lie on one side of the border between source and target.
      const auto size = static_cast<int64_t>(photos_.labels.size());
      const bool before = index < border_;
      std::vector<const uint8_t*> shown;
      for (const int64_t i :
           mosaic_garments(number, index, before ? 0 : border_, before ? border_ : size)) {
        shown.push_back(photo(i));
        label_row[photos_.labels[i]] = 1;
      }
      render_mosaic(shown, number, pixels);
    }
  }

  const std::string& domain_;
  const LabelledImages& photos_;
  int64_t first_number_, border_;
};

}  // namespace

DataSplits load_fashion(const std::string&, const DataOptions& options) {
  const std::string domain = options.spec.substr(options.spec.find('/') + 1);
  const bool mosaic = domain == "mosaic";
  DatasetInfo info;
  info.height = info.width = mosaic ? kMosaicSide : kDrawnSide;
  check_image_size(options, info.height);
  info.class_names = {"T-shirt", "trouser", "pullover", "dress", "coat",
                      "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
  info.multi_label = mosaic;
  info.mean.fill(mosaic ? kMosaicMean : kPhotoMean);
  info.stddev.fill(mosaic ? kMosaicDeviation : kPhotoDeviation);

  const LabelledImages train = read_split(options, "train", kTrainSize);
  const LabelledImages test = read_split(options, "t10k", kTestSize);
  const int64_t border = source_count(kTrainSize);
  // Mosaics are drawn evenly by the class of their first garment.
  const auto train_indices = select_train(
      train.labels, kClasses, [&](int64_t i) { return i < border; }, options);
  const auto test_indices = select_test(test.labels, kClasses, options);
  DataSplits splits;
  info.name = "fashion/" + domain + " train";
  splits.train = Renderer(domain, train, 0, border).render(info, train_indices);
  info.name = "fashion/" + domain + " test";
  splits.test = Renderer(domain, test, kFirstTestNumber, kTestSize).render(info, test_indices);
  return splits;
}

}  // namespace basin::data
