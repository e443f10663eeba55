// Data sets whose images stay in their files and are decoded each time they are read.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image/image.h"

namespace basin::data {

// The positions, ascending, of those of `paths` whose headers are those of a PNG or JPEG image.
// Throws Error naming the others, or, if `skip_bad`, names them on stderr; throws Error if none is
// left. `source` (the folder or list they come from) and `remedy` are for these messages.
std::vector<int64_t> readable_images(const std::vector<std::string>& paths,
                                     const std::string& source, bool skip_bad,
                                     const std::string& remedy);

// Throws Error unless the side is 8 to 1024; 0 becomes 224, that of the paper's networks.
int64_t image_side(const DataOptions& options);

// Images in files; how they are cropped and resized is for the derived class to say.
class ImageFiles : public Dataset {
 public:
  ImageFiles(DatasetInfo info, std::vector<std::string> paths, Labels labels, bool skip_bad);

  bool in_memory() const final { return false; }

 protected:
  // Decodes image `index`. One that cannot be decoded throws Error naming the file, or, if bad
  // images are skipped, is named on stderr, once, and gives way to the next with the same labels.
  Image decode(int64_t index) const;

 private:
  bool same_labels(int64_t a, int64_t b) const;
  void report(int64_t index, const std::string& error) const;

  std::vector<std::string> paths_;
  bool skip_bad_;
  std::unique_ptr<std::atomic<bool>[]> reported_;  // [size]
  mutable std::atomic<int64_t> bad_count_ = 0;
};

// Files of labelled photographs or drawings.
struct LabelledFiles {
  std::string name;  // of the data set made of them
  std::vector<std::string> paths;
  std::vector<int32_t> labels;

  // Keeps the images at `positions`, in their order.
  void keep(const std::vector<int64_t>& positions);
};

// Both splits of files that are cropped as ImageNet's are by torchvision: random resized crop and
// flip, or the short side resized and the centre cut out. Fills in the size, mean and deviation of
// `info`. The source split is the first five sixths of every class.
DataSplits split_photos(DatasetInfo info, LabelledFiles train, LabelledFiles test,
                        const DataOptions& options);

}  // namespace basin::data
