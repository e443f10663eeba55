// Resizing against Pillow's numbers, crops, and decoding.
#include "data/image/image.h"

#include <stb_image_write.h>

#include <algorithm>
#include <cmath>

#include "data/array_dataset.h"
#include "data/image/contact_sheet.h"
#include "data/image/resize.h"
#include "data/shuffle.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

// A picture with a formula, so that Pillow can be given the same.
Image formula_image(int64_t height, int64_t width) {
  Image image{height, width, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        image.pixels.push_back(static_cast<uint8_t>((x * 37 + y * 59 + c * 83 + x * y * 11) % 256));
      }
    }
  }
  return image;
}

// Sum of position times value: equal for two pictures only if they agree everywhere, in practice.
int64_t checksum(const Bytes& pixels) {
  int64_t sum = 0;
  for (size_t i = 0; i < pixels.size(); ++i) sum += static_cast<int64_t>(i) * pixels[i];
  return sum;
}

Bytes resized(const Image& image, const CropBox& box, int64_t height, int64_t width) {
  Bytes pixels(height * width * 3);
  resize_bilinear(image, box, height, width, pixels.data());
  return pixels;
}

}  // namespace

TEST_CASE("resizing equals Pillow's BILINEAR bit for bit") {
  // Numbers printed by Pillow 12 for the same pictures; red channel and checksum of all channels.
  const Image image = formula_image(9, 13);
  const Bytes smaller = resized(image, {0, 0, 9, 13}, 4, 5);
  const Bytes red{94,  147, 128, 117, 128, 159, 129, 121, 124, 153,
                  128, 148, 137, 97,  113, 125, 155, 137, 106, 130};
  for (size_t i = 0; i < red.size(); ++i) CHECK(smaller[3 * i] == red[i]);
  CHECK(checksum(smaller) == 224189);
  CHECK(checksum(resized(image, {0, 0, 9, 13}, 12, 17)) == 23842773);
  const Bytes cropped = resized(image, {2, 3, 6, 8}, 4, 4);
  const Bytes cropped_red{105, 128, 110, 132, 137, 122, 123, 107,
                          147, 156, 96,  104, 182, 147, 111, 76};
  for (size_t i = 0; i < cropped_red.size(); ++i) CHECK(cropped[3 * i] == cropped_red[i]);
  CHECK(checksum(cropped) == 142329);
  CHECK(resized(image, {0, 0, 9, 13}, 9, 13) == image.pixels);
  CHECK_THROWS_AS(resized(image, {4, 0, 6, 13}, 9, 13), Error);
}

TEST_CASE("the weights of a resize are those of a triangle filter") {
  for (const auto& [in_size, out_size] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 9}, {9, 1}, {7, 7}, {5, 12}, {100, 7}, {340, 224}}) {
    const ResizeTaps table(in_size, out_size);
    REQUIRE(static_cast<int64_t>(table.taps.size()) == out_size);
    const double scale = double(in_size) / double(out_size), radius = std::max(scale, 1.0);
    for (int64_t out = 0; out < out_size; ++out) {
      const ResizeTaps::Tap& tap = table.taps[static_cast<size_t>(out)];
      REQUIRE(tap.first >= 0);
      REQUIRE(tap.first + tap.count <= in_size);
      std::vector<double> filter(static_cast<size_t>(in_size));
      double sum = 0;
      for (int64_t in = 0; in < in_size; ++in) {
        const double distance = std::abs(double(in) + 0.5 - (double(out) + 0.5) * scale);
        filter[static_cast<size_t>(in)] = std::max(0.0, 1 - distance / radius);
        sum += filter[static_cast<size_t>(in)];
      }
      for (int64_t in = 0; in < in_size; ++in) {
        const int64_t place = in - tap.first;
        const double weight = place < 0 || place >= tap.count
                                  ? 0
                                  : table.weights[static_cast<size_t>(tap.weight + place)];
        // Half a unit of rounding; and next to the filter's feet, what Pillow cuts off.
        REQUIRE(std::abs(weight - filter[static_cast<size_t>(in)] / sum * (1 << 22)) < 0.51);
      }
    }
  }
}

TEST_CASE("the evaluation crop equals torchvision's Resize(37) and CenterCrop(32)") {
  Bytes pixels(32 * 32 * 3);
  resize_and_center_crop(formula_image(60, 91), 32, pixels.data());
  CHECK(Bytes(pixels.begin(), pixels.begin() + 9) ==
        Bytes{121, 124, 169, 150, 124, 94, 146, 111, 153});
  CHECK(checksum(pixels) == 601912331);
  Image tall{91, 60, Bytes(91 * 60 * 3, 77)};  // the same with the sides exchanged
  resize_and_center_crop(tall, 32, pixels.data());
  CHECK(pixels == Bytes(32 * 32 * 3, 77));
}

TEST_CASE("random resized crops lie inside the image and cover the allowed areas and ratios") {
  double smallest = 1, largest = 0, ratio_sum = 0;
  constexpr int kDraws = 20000;
  for (uint32_t i = 0; i < kDraws; ++i) {
    RandomStream random(1, RandomPurpose::kAugmentation, 0, i);
    const CropBox box = random_resized_crop(400, 400, random);
    REQUIRE(box.top >= 0);
    REQUIRE(box.left >= 0);
    REQUIRE(box.top + box.height <= 400);
    REQUIRE(box.left + box.width <= 400);
    const double area = static_cast<double>(box.height * box.width) / 160000.0;
    const double ratio = static_cast<double>(box.width) / static_cast<double>(box.height);
    REQUIRE(ratio > 0.74);
    REQUIRE(ratio < 1.35);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    ratio_sum += std::log(ratio);
  }
  CHECK(smallest > 0.079);
  CHECK(smallest < 0.085);
  CHECK(largest > 0.97);
  CHECK(std::abs(ratio_sum / kDraws) < 0.006);  // 5 standard errors of U(-log 4/3, log 4/3)
  RandomStream random(1, RandomPurpose::kAugmentation);
  const CropBox box = random_resized_crop(10, 1000, random);  // no box fits: the central one
  CHECK(box.height == 10);
  CHECK(box.width == 13);
  CHECK(box.left == 493);
  CHECK(box.top == 0);
}

TEST_CASE("shift repeats the edge, flip mirrors") {
  const Bytes in{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6};  // 2 x 3
  const auto shown = [&](int64_t down, int64_t right, bool flip) {
    Bytes out(18), grey;
    shift_and_flip(in.data(), 2, 3, {down, right, flip}, out.data());
    for (int i = 0; i < 6; ++i) grey.push_back(out[3 * i]);
    return grey;
  };
  CHECK(shown(0, 0, false) == Bytes{1, 2, 3, 4, 5, 6});
  CHECK(shown(0, 0, true) == Bytes{3, 2, 1, 6, 5, 4});
  CHECK(shown(0, 1, false) == Bytes{1, 1, 2, 4, 4, 5});
  CHECK(shown(1, -1, false) == Bytes{2, 3, 3, 2, 3, 3});
  CHECK(shown(-1, 1, true) == Bytes{5, 4, 4, 5, 4, 4});
}

TEST_CASE(
    "the default augmentation is one of the shifts by an eighth, flipped or not, and all occur") {
  const auto dataset = noise_dataset(1, 16, 1);
  const Bytes original = read_image(*dataset, 0);
  std::vector<Bytes> variants;
  for (int64_t down = -2; down <= 2; ++down) {
    for (int64_t right = -2; right <= 2; ++right) {
      for (const bool flip : {false, true}) {
        Bytes out(original.size());
        shift_and_flip(original.data(), 16, 16, {down, right, flip}, out.data());
        variants.push_back(out);
      }
    }
  }
  std::vector<int> seen(variants.size());
  for (uint32_t i = 0; i < 1000; ++i) {
    Bytes out(original.size());
    dataset->read_augmented(0, RandomStream(1, RandomPurpose::kAugmentation, i), out.data());
    const auto found = std::find(variants.begin(), variants.end(), out);
    REQUIRE(found != variants.end());
    ++seen[found - variants.begin()];
  }
  CHECK(*std::min_element(seen.begin(), seen.end()) > 0);
}

TEST_CASE("PNG and JPEG files decode and grey and alpha become RGB") {
  const DataFolder folder;
  const Image image = formula_image(6, 7);
  write_png(folder.path("a.png"), image.pixels.data(), 6, 7);
  const Image read = decode_image(folder.path("a.png"));
  CHECK(read.height == 6);
  CHECK(read.width == 7);
  CHECK(read.pixels == image.pixels);

  const Bytes grey{10, 20, 30, 40};
  REQUIRE(stbi_write_png(folder.path("g.png").c_str(), 2, 2, 1, grey.data(), 2));
  CHECK(decode_image(folder.path("g.png")).pixels ==
        Bytes{10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40});
  const Bytes rgba{1, 2, 3, 0, 4, 5, 6, 128};
  REQUIRE(stbi_write_png(folder.path("t.png").c_str(), 2, 1, 4, rgba.data(), 8));
  CHECK(decode_image(folder.path("t.png")).pixels == Bytes{1, 2, 3, 4, 5, 6});

  const Bytes flat(16 * 24 * 3, 120);
  REQUIRE(stbi_write_jpg(folder.path("f.jpg").c_str(), 24, 16, 3, flat.data(), 95));
  const Image jpeg = decode_image(folder.path("f.jpg"));
  CHECK(jpeg.height == 16);
  CHECK(jpeg.width == 24);
  for (const uint8_t value : jpeg.pixels) CHECK(std::abs(value - 120) <= 2);
}

TEST_CASE("images that are no images are described") {
  const DataFolder folder;
  write_file(folder.path("text.png"), {'h', 'e', 'l', 'l', 'o'});
  CHECK(contains(image_defect(folder.path("text.png")), "not a PNG or JPEG"));
  CHECK(image_defect(folder.path("missing.png")) == "no such file");
  write_file(folder.path("empty.png"), {});
  CHECK(!image_defect(folder.path("empty.png")).empty());
  const auto png_header = [](uint32_t width, uint32_t height) {
    Bytes bytes{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    for (const uint32_t side : {width, height}) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<uint8_t>(side >> shift));
      }
    }
    for (const int value : {8, 2, 0, 0, 0, 0, 0, 0, 0})
      bytes.push_back(static_cast<uint8_t>(value));
    return bytes;
  };
  write_file(folder.path("huge.png"), png_header(10000, 9000));
  CHECK(contains(image_defect(folder.path("huge.png")), "claims 10000x9000 pixels"));
  write_file(folder.path("huge.png"), png_header(60000, 60000));
  CHECK(!image_defect(folder.path("huge.png")).empty());
  write_file(folder.path("thin.png"), png_header(60000, 3));
  CHECK(contains(image_defect(folder.path("thin.png")), "60000x3"));
  write_file(folder.path("beyond.png"), png_header(0xffffffff, 0xffffffff));
  CHECK(!image_defect(folder.path("beyond.png")).empty());
  write_file(folder.path("header.png"), png_header(20, 20));
  CHECK(image_defect(folder.path("header.png")).empty());
  const std::string error = error_of([&] { decode_image(folder.path("header.png")); });
  CHECK(contains(error, folder.path("header.png")));
  CHECK(contains(error, "decoding fails"));
  CHECK(contains(error_of([&] { write_png(folder.path("no/such/folder.png"), nullptr, 0, 0); }),
                 "cannot be written"));
}

TEST_CASE("a contact sheet shows a class a row") {
  const DataFolder folder;
  const auto dataset = noise_dataset(9, 4, 3);
  write_contact_sheet(*dataset, folder.path("sheet.png"), 3, 4);
  const Image sheet = decode_image(folder.path("sheet.png"));
  REQUIRE(sheet.height == 3 * 6);
  REQUIRE(sheet.width == 4 * 6);
  const auto shows = [&](int64_t row, int64_t column, int64_t index) {
    const Bytes pixels = read_image(*dataset, index);
    for (int64_t y = 0; y < 4; ++y) {
      const int64_t at = ((row * 6 + 1 + y) * sheet.width + column * 6 + 1) * 3;
      if (!std::equal(&pixels[y * 12], &pixels[y * 12] + 12, &sheet.pixels[at])) return false;
    }
    return true;
  };
  CHECK(shows(0, 0, 0));
  CHECK(shows(1, 0, 1));
  CHECK(shows(1, 2, 7));
  CHECK(shows(2, 1, 5));
}

TEST_CASE("shuffle sheet: the images, their blocks shuffled, and all their values shuffled") {
  const DataFolder folder;
  std::vector<uint8_t> ramps(3 * 16);
  for (size_t i = 0; i < ramps.size(); ++i) ramps[i] = static_cast<uint8_t>(4 * i);
  const ArrayDataset set(square_images("ramps", 4, 1), std::vector<int32_t>{0, 0, 0}, ramps);
  write_shuffle_sheet(set, folder.path("sheet.png"), {2}, 1234, 2);
  const Image sheet = decode_image(folder.path("sheet.png"));
  REQUIRE(sheet.height == 3 * 6);
  REQUIRE(sheet.width == 2 * 6);
  auto values = [&](int64_t row, int64_t column) {
    std::vector<uint8_t> cell;
    for (int64_t y = 0; y < 4; ++y) {
      for (int64_t x = 0; x < 4; ++x) {
        const int64_t at = (row * 6 + y + 1) * sheet.width + column * 6 + x + 1;
        cell.push_back(sheet.pixels[static_cast<size_t>(3 * at)]);
      }
    }
    return cell;
  };
  // Images 0 and 1 of three; a grey image keeps its values, in another order.
  CHECK(values(0, 0) == std::vector<uint8_t>(ramps.begin(), ramps.begin() + 16));
  CHECK(values(0, 1) == std::vector<uint8_t>(ramps.begin() + 16, ramps.begin() + 32));
  const auto map = block_shuffle_map(4, 4, 2, 1234);
  std::vector<uint8_t> expected;
  for (size_t i = 0; i < 48; i += 3) expected.push_back(ramps[map[i] / 3]);
  CHECK(values(1, 0) == expected);
  CHECK(values(2, 0) != values(0, 0));
}
