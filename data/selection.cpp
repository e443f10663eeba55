// Draws of images, evenly by class.
#include "data/selection.h"

#include <algorithm>
#include <string>

#include "kernels/base/check.h"
#include "kernels/base/random.h"

namespace basin::data {

namespace {

// From every class the same number of its indices, as `options` and the caller order them.
std::vector<int64_t> take_evenly(const std::vector<std::vector<int64_t>>& by_class, int64_t count,
                                 const char* option, const std::string& spec) {
  const auto classes = static_cast<int64_t>(by_class.size());
  BASIN_CHECK(count >= classes, spec, ": ", option, " is ", count, " for ", classes,
              " classes; it must be at least one image a class");
  std::vector<int64_t> chosen;
  for (int64_t c = 0; c < classes; ++c) {
    const int64_t wanted = count / classes + (c < count % classes ? 1 : 0);
    const auto available = static_cast<int64_t>(by_class[c].size());
    BASIN_CHECK(wanted <= available, spec, ": ", option, " ", count, " needs ", wanted, " images",
                classes > 1 ? concat(" of class ", c, ", which has ") : ", there are ", available,
                " in this split; choose a smaller ", option, " (0: all images)");
    chosen.insert(chosen.end(), by_class[c].begin(), by_class[c].begin() + wanted);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

std::vector<int64_t> select_train(const std::vector<int32_t>& labels, int64_t classes,
                                  const std::function<bool(int64_t)>& in_source,
                                  const DataOptions& options) {
  std::vector<int64_t> pool;
  for (int64_t i = 0; i < static_cast<int64_t>(labels.size()); ++i) {
    if (options.split == "all" || in_source(i) == (options.split == "source")) pool.push_back(i);
  }
  BASIN_CHECK(!pool.empty(), options.spec, ": split '", options.split, "' of ", labels.size(),
              " training images is empty; use split 'all'");
  if (options.train_size == 0) return pool;
  std::vector<std::vector<int64_t>> by_class(classes);
  for (const int64_t i : pool) by_class[labels[i]].push_back(i);
  for (int64_t c = 0; c < classes; ++c) {
    RandomStream random(options.seed, RandomPurpose::kSplit, 0, static_cast<uint32_t>(c));
    shuffle(by_class[c].begin(), by_class[c].end(), random);
  }
  return take_evenly(by_class, options.train_size, "train_size", options.spec);
}

std::vector<int64_t> select_test(const std::vector<int32_t>& labels, int64_t classes,
                                 const DataOptions& options) {
  std::vector<std::vector<int64_t>> by_class(classes);
  std::vector<int64_t> all;
  for (int64_t i = 0; i < static_cast<int64_t>(labels.size()); ++i) {
    by_class[labels[i]].push_back(i);
    all.push_back(i);
  }
  if (options.test_size == 0) return all;
  return take_evenly(by_class, options.test_size, "test_size", options.spec);
}

}  // namespace basin::data
