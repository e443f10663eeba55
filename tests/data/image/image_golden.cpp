// Permutations and image operations against the numbers of NumPy, OpenCV, Pillow and torchvision
// (image_golden.json, written by tools/golden/make_image_golden.py, which describes it).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/image/image.h"
#include "data/shuffle.h"
#include "data/sources/chexpert_xray.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;
using nlohmann::json;

namespace {

// The cases of one kind; at least one.
json cases(const std::string& kind) {
  std::ifstream file(BASIN_IMAGE_GOLDEN);
  REQUIRE(file.good());
  const json all = json::parse(file);
  REQUIRE(!all.at(kind).empty());
  return all.at(kind);
}

int64_t value_at(const json& c, int64_t y, int64_t x, int64_t channel) {
  const int64_t base = c.at("base"), span = c.at("span");
  return base + (37 * x + 59 * y + 83 * channel + 11 * x * y) % span;
}

GreyImage grey_picture(const json& c) {
  GreyImage image{c.at("height"), c.at("width"), {}};
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      image.pixels.push_back(static_cast<uint8_t>(value_at(c, y, x, 0)));
    }
  }
  return image;
}

Image colour_picture(const json& c) {
  Image image{c.at("height"), c.at("width"), {}};
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      for (int64_t channel = 0; channel < 3; ++channel) {
        image.pixels.push_back(static_cast<uint8_t>(value_at(c, y, x, channel)));
      }
    }
  }
  return image;
}

AffineMap affine_of(const json& c) {
  return {c.at("degrees"), c.at("scale"), c.at("right"), c.at("down")};
}

// OpenCV may sum in another order: 1e-3 levels of 255.
void check_close(const std::vector<float>& values, const json& expected) {
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(values[i] - expected[i].get<float>()) < 1e-3f);
  }
}

}  // namespace

TEST_CASE("the paper's samples of lists are NumPy's") {
  for (const json& c : cases("permutations")) {
    CAPTURE(c.dump());
    const auto permutation = numpy_permutation(c.at("seed"), c.at("rows"));
    const auto first = permutation.begin() + c.at("first").get<int64_t>();
    const int64_t count = c.at("count");
    int64_t weighted_sum = 0;
    for (int64_t i = 0; i < count; ++i) weighted_sum += i * first[i];
    CHECK(std::vector<uint32_t>(first, first + 5) == c.at("head").get<std::vector<uint32_t>>());
    CHECK(std::vector<uint32_t>(first + count - 5, first + count) ==
          c.at("tail").get<std::vector<uint32_t>>());
    CHECK(weighted_sum == c.at("weighted_sum").get<int64_t>());
  }
}

TEST_CASE("grey values are OpenCV's, and those of grey images stay") {
  for (const json& c : cases("grey")) {
    CHECK(to_grey(colour_picture(c)).pixels == c.at("pixels").get<Bytes>());
  }
  Image grey{16, 16, {}};
  for (int value = 0; value < 256; ++value) grey.pixels.insert(grey.pixels.end(), 3, value);
  const GreyImage kept = to_grey(grey);
  for (int value = 0; value < 256; ++value) CHECK(kept.pixels[value] == value);
}

TEST_CASE("histogram equalisation is OpenCV's") {
  for (const json& c : cases("equalized")) {
    CAPTURE(c.dump());
    GreyImage image = grey_picture(c);
    equalize_histogram(image);
    CHECK(image.pixels == c.at("pixels").get<Bytes>());
  }
}

TEST_CASE("affine maps are torchvision's on Pillow images") {
  for (const json& c : cases("affine")) {
    CAPTURE(c.dump());
    CHECK(apply_affine(grey_picture(c), affine_of(c)).pixels == c.at("pixels").get<Bytes>());
  }
  const GreyImage image = grey_picture(cases("affine")[0]);
  CHECK(apply_affine(image, {}).pixels == image.pixels);
}

TEST_CASE("fitting into a square and blurring are OpenCV's") {
  for (const json& c : cases("fitted")) {
    CAPTURE(c.dump());
    check_close(fit_and_pad(grey_picture(c), c.at("side")), c.at("values"));
  }
  for (const json& c : cases("blurred")) {
    CAPTURE(c.dump());
    const int64_t side = c.at("side");
    check_close(blur_3x3(fit_and_pad(grey_picture(c), side), side), c.at("values"));
  }
}

TEST_CASE("the whole preparation of an X-ray gives the levels of the paper's steps") {
  for (const json& c : cases("prepared")) {
    CAPTURE(c.dump());
    GreyImage image = grey_picture(c);
    if (c.contains("degrees")) image = apply_affine(image, affine_of(c));
    const int64_t side = c.at("side");
    Bytes pixels(side * side * 3), first_channel;
    render_xray(image, side, pixels.data());
    for (size_t i = 0; i < pixels.size(); i += 3) {
      REQUIRE(pixels[i] == pixels[i + 1]);
      REQUIRE(pixels[i] == pixels[i + 2]);
      first_channel.push_back(pixels[i]);
    }
    CHECK(first_channel == c.at("pixels").get<Bytes>());
  }
}

TEST_CASE("boxes are resized as by Pillow, and evaluation crops are torchvision's") {
  for (const json& c : cases("resized")) {
    CAPTURE(c.dump());
    const auto box = c.at("box").get<std::vector<int64_t>>();
    const auto size = c.at("size").get<std::vector<int64_t>>();
    Bytes pixels(size[0] * size[1] * 3);
    resize_bilinear(colour_picture(c), {box[0], box[1], box[2], box[3]}, size[0], size[1],
                    pixels.data());
    CHECK(pixels == c.at("pixels").get<Bytes>());
  }
  for (const json& c : cases("evaluated")) {
    CAPTURE(c.dump());
    const int64_t side = c.at("side");
    Bytes pixels(side * side * 3);
    resize_and_center_crop(colour_picture(c), side, pixels.data());
    CHECK(pixels == c.at("pixels").get<Bytes>());
  }
}

TEST_CASE("random affine maps fill the paper's ranges evenly") {
  constexpr int kDraws = 20000;
  double degrees = 0, scale = 0, squared_degrees = 0;
  std::vector<int> right(41), down(31);
  for (uint32_t i = 0; i < kDraws; ++i) {
    RandomStream random(1, RandomPurpose::kAugmentation, 0, i);
    const AffineMap map = random_affine(300, 400, random);
    REQUIRE(std::abs(map.degrees) <= 15);
    REQUIRE(map.scale >= 0.95 - 1e-6);
    REQUIRE(map.scale <= 1.05 + 1e-6);
    REQUIRE(std::abs(map.right) <= 20);
    REQUIRE(std::abs(map.down) <= 15);
    degrees += map.degrees / kDraws;
    squared_degrees += map.degrees * map.degrees / kDraws;
    scale += map.scale / kDraws;
    ++right[map.right + 20];
    ++down[map.down + 15];
  }
  // Five standard errors of uniform distributions; the outermost shifts are half as frequent.
  CHECK(std::abs(degrees) < 5 * 30 / std::sqrt(12.0 * kDraws));
  CHECK(std::abs(squared_degrees - 75) < 5 * 225 * std::sqrt(4.0 / 45) / std::sqrt(kDraws));
  CHECK(std::abs(scale - 1) < 5 * 0.1 / std::sqrt(12.0 * kDraws));
  for (size_t i = 1; i + 1 < right.size(); ++i) CHECK(std::abs(right[i] - kDraws / 40) < 115);
  for (size_t i = 1; i + 1 < down.size(); ++i) CHECK(std::abs(down[i] - kDraws / 30) < 130);
  CHECK(std::abs(right[0] - kDraws / 80) < 80);
  CHECK(std::abs(down[30] - kDraws / 60) < 92);
}
