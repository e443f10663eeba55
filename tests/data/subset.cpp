// Parts of data sets.
#include "data/subset.h"

#include "data/array_dataset.h"
#include "tests/data/fixtures.h"

#include <doctest/doctest.h>

using namespace basin;
using namespace basin::data;

namespace {

// Image i is the one pixel i, its class i % 2.
std::shared_ptr<const Dataset> numbers(uint8_t count) {
  std::vector<int32_t> labels;
  std::vector<uint8_t> pixels;
  for (uint8_t i = 0; i < count; ++i) {
    labels.push_back(i % 2);
    pixels.push_back(i);
  }
  return std::make_shared<const ArrayDataset>(square_images("numbers", 1, 2), labels, pixels);
}

std::vector<int> pixels_of(const Dataset& set) {
  std::vector<int> pixels;
  for (int64_t i = 0; i < set.size(); ++i) {
    uint8_t pixel[3];
    set.read(i, pixel);
    pixels.push_back(pixel[0]);
  }
  return pixels;
}

}  // namespace

TEST_CASE("subset: the images named, with their labels") {
  const auto part = subset(numbers(6), {5, 0, 2});
  CHECK(pixels_of(*part) == std::vector<int>{5, 0, 2});
  CHECK(part->label(0) == 1);
  CHECK(part->label(1) == 0);
  CHECK(error_of([&] { subset(numbers(6), {6}); }) != "");
}

TEST_CASE("subset: of a multi-label set") {
  const auto whole = std::make_shared<const ArrayDataset>(square_images("numbers", 1, 2, true),
                                                          std::vector<uint8_t>{1, 0, 1, 1, 0, 1},
                                                          std::vector<uint8_t>{7, 8, 9});
  const auto part = subset(whole, {2, 1});
  CHECK(part->multi_label());
  CHECK(pixels_of(*part) == std::vector<int>{9, 8});
  float row[2];
  part->target(0, row);
  CHECK((row[0] == 0 && row[1] == 1));
  part->target(1, row);
  CHECK((row[0] == 1 && row[1] == 1));
}

TEST_CASE("subset: evenly spaced") {
  CHECK(pixels_of(*evenly_spaced(numbers(10), 5)) == std::vector<int>{0, 2, 4, 6, 8});
  CHECK(evenly_spaced(numbers(10), 0)->size() == 10);
  CHECK(evenly_spaced(numbers(10), 11)->size() == 10);
}

TEST_CASE("subset: held-out images and the rest share none and lose none") {
  const HeldOut parts = hold_out(numbers(11), 5);
  CHECK(pixels_of(*parts.held) == std::vector<int>{4, 9});
  CHECK(pixels_of(*parts.rest) == std::vector<int>{0, 1, 2, 3, 5, 6, 7, 8, 10});
  CHECK(contains(error_of([] { hold_out(numbers(4), 5); }), "of 4 images"));
}
