// The rows, and the choice of one by a spec string.
#include "data/sources/registry.h"

#include <string_view>

#include "kernels/base/check.h"

namespace basin::data {
namespace {

// The loader, the spec as the user writes it, and a line of help. What follows the colon in a spec
// goes to the loader as `place`. Not aligned, so that a new row changes one line.
// clang-format off
#define BASIN_DATA_SETS(ROW) \
  ROW(load_fashion, "fashion/photo", "Fashion-MNIST, 10 classes, 32x32") \
  ROW(load_fashion, "fashion/clipart", "the same garments in flat colours with outlines") \
  ROW(load_fashion, "fashion/quickdraw", "the same garments as line drawings") \
  ROW(load_fashion, "fashion/mosaic", "one to four garments on grey, 10 labels, 64x64") \
  ROW(load_idx, "idx:DIR", "MNIST's four files") \
  ROW(load_cifar10, "cifar10:DIR", "binary version: data_batch_1.bin to 5, test_batch.bin") \
  ROW(load_cifar100, "cifar100:DIR", "binary version: train.bin, test.bin") \
  ROW(load_image_folder, "imagefolder:DIR", "DIR/train/CLASS/*.jpg, DIR/test or DIR/val") \
  ROW(load_imagenet, "imagenet:DIR", "DIR/train/WNID/*.JPEG, DIR/val/WNID/*.JPEG") \
  ROW(load_domainnet, "domainnet:DIR/DOMAIN", "lists DIR/DOMAIN_train.txt, DIR/DOMAIN_test.txt") \
  ROW(load_chexpert, "chexpert:DIR", "DIR/train.csv, DIR/valid.csv; 5 labels")
// clang-format on

}  // namespace

#define BASIN_DECLARE(load, spec, help) \
  DataSplits load(const std::string& place, const DataOptions& options);
BASIN_DATA_SETS(BASIN_DECLARE)

namespace {

struct Source {
  DataSplits (*load)(const std::string& place, const DataOptions& options);
  std::string_view spec, help;

  std::string_view name() const { return spec.substr(0, spec.find(':')); }
  bool needs_place() const { return name() != spec; }
};

#define BASIN_ROW(load, spec, help) {load, spec, help},
constexpr Source kSources[] = {BASIN_DATA_SETS(BASIN_ROW)};

}  // namespace

DataSplits load_data(const DataOptions& options) {
  BASIN_CHECK(options.split == "all" || options.split == "source" || options.split == "target",
              "split is '", options.split, "'; expected all, source or target");
  BASIN_CHECK(options.train_size >= 0 && options.test_size >= 0 && options.image_size >= 0,
              "train_size ", options.train_size, ", test_size ", options.test_size, ", image_size ",
              options.image_size, ": none may be negative (0: the default)");
  const auto colon = options.spec.find(':');
  const std::string name = options.spec.substr(0, colon);
  const std::string place = colon == std::string::npos ? "" : options.spec.substr(colon + 1);
  std::string known;
  for (const Source& source : kSources) {
    known += concat(known.empty() ? "" : ", ", source.spec);
    if (name != source.name() || (!source.needs_place() && name != options.spec)) continue;
    BASIN_CHECK(!source.needs_place() || !place.empty(), "data set '", options.spec,
                "' names no directory; write ", source.spec);
    DataSplits splits = source.load(place, options);
    if (!splits.train_evaluation) splits.train_evaluation = splits.train;
    return splits;
  }
  throw Error(concat("unknown data set '", options.spec, "'; known are ", known));
}

std::string help() {
  std::string text = "data set:";
  for (const Source& source : kSources) text += concat("\n", source.spec, " (", source.help, ")");
  return text + "\ndocs/data.md says more";
}

}  // namespace basin::data
