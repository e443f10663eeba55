// Grey images: affine maps, equalisation, resizing, blur.
#include "data/sources/chexpert_xray.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/base/check.h"

namespace basin::data {

namespace {

constexpr uint8_t kFill = 128;  // what the paper's code shows where there is no image

// OpenCV's linear interpolation: output position `out` lies at in[first] + fraction of the way to
// the next, both kept inside of the image.
struct LinearTap {
  int64_t first, second;
  float fraction;
};

std::vector<LinearTap> linear_taps(int64_t in_size, int64_t out_size) {
  const double scale = 1.0 / (static_cast<double>(out_size) / static_cast<double>(in_size));
  std::vector<LinearTap> taps;
  for (int64_t out = 0; out < out_size; ++out) {
    const auto center = static_cast<float>((static_cast<double>(out) + 0.5) * scale - 0.5);
    auto first = static_cast<int64_t>(std::floor(center));
    float fraction = center - static_cast<float>(first);
    if (first < 0 || first >= in_size - 1) {
      first = std::clamp<int64_t>(first, 0, in_size - 1);
      fraction = 0;
    }
    taps.push_back({first, std::min(first + 1, in_size - 1), fraction});
  }
  return taps;
}

}  // namespace

GreyImage to_grey(const Image& image) {
  constexpr int kBits = 14;
  GreyImage grey{image.height, image.width, {}};
  grey.pixels.resize(image.height * image.width);
  for (size_t i = 0; i < grey.pixels.size(); ++i) {
    const uint8_t* rgb = &image.pixels[3 * i];
    grey.pixels[i] = static_cast<uint8_t>(
        (rgb[0] * 4899 + rgb[1] * 9617 + rgb[2] * 1868 + (1 << (kBits - 1))) >> kBits);
  }
  return grey;
}

AffineMap random_affine(int64_t height, int64_t width, RandomStream& random) {
  AffineMap map;
  map.degrees = random.uniform(-15, 15);
  const auto shift = [&](int64_t side) {
    const float most = 0.05f * static_cast<float>(side);
    return static_cast<int64_t>(std::nearbyint(random.uniform(-most, most)));
  };
  map.right = shift(width);
  map.down = shift(height);
  map.scale = random.uniform(0.95f, 1.05f);
  return map;
}

GreyImage apply_affine(const GreyImage& image, const AffineMap& map) {
  BASIN_CHECK(map.scale > 0, "scale of an affine map is ", map.scale);
  // Where in the input the middle of output pixel (x, y) lies, in units of 2^-16 pixels, as Pillow
  // counts: the inverse of the map.
  const double angle = map.degrees * std::numbers::pi / 180.0;
  const double cosine = std::cos(angle) / map.scale, sine = std::sin(angle) / map.scale;
  const double middle_x = static_cast<double>(image.width) * 0.5;
  const double middle_y = static_cast<double>(image.height) * 0.5;
  const double from_x = -middle_x - static_cast<double>(map.right);
  const double from_y = -middle_y - static_cast<double>(map.down);
  const auto fixed = [](double value) {
    return static_cast<int64_t>(std::floor(value * 65536.0 + 0.5));
  };
  const int64_t x_by_x = fixed(cosine), x_by_y = fixed(sine);
  const int64_t y_by_x = fixed(-sine), y_by_y = fixed(cosine);
  int64_t row_x = fixed(cosine * from_x + sine * from_y + middle_x + 0.5 * (cosine + sine));
  int64_t row_y = fixed(-sine * from_x + cosine * from_y + middle_y + 0.5 * (cosine - sine));
  GreyImage moved{image.height, image.width, {}};
  moved.pixels.assign(image.pixels.size(), kFill);
  for (int64_t y = 0; y < image.height; ++y, row_x += x_by_y, row_y += y_by_y) {
    int64_t at_x = row_x, at_y = row_y;
    for (int64_t x = 0; x < image.width; ++x, at_x += x_by_x, at_y += y_by_x) {
      const int64_t in_x = at_x >> 16, in_y = at_y >> 16;
      if (in_x < 0 || in_x >= image.width || in_y < 0 || in_y >= image.height) continue;
      moved.pixels[y * image.width + x] = image.pixels[in_y * image.width + in_x];
    }
  }
  return moved;
}

void equalize_histogram(GreyImage& image) {
  std::array<int64_t, 256> counts{};
  for (const uint8_t value : image.pixels) ++counts[value];
  size_t darkest = 0;
  while (darkest < 255 && counts[darkest] == 0) ++darkest;
  const auto total = static_cast<int64_t>(image.pixels.size());
  if (counts[darkest] == total) return;
  const float scale = 255.0f / static_cast<float>(total - counts[darkest]);
  std::array<uint8_t, 256> table{};  // the darkest value becomes 0
  int64_t sum = 0;
  for (size_t value = darkest + 1; value < 256; ++value) {
    sum += counts[value];
    table[value] = static_cast<uint8_t>(
        std::clamp(std::nearbyint(static_cast<float>(sum) * scale), 0.0f, 255.0f));
  }
  for (uint8_t& value : image.pixels) value = table[value];
}

std::vector<float> fit_and_pad(const GreyImage& image, int64_t side) {
  // The short side by the same two roundings as Python's round(side / (long / short)).
  const double ratio = static_cast<double>(std::max(image.height, image.width)) /
                       static_cast<double>(std::min(image.height, image.width));
  const auto shorter = static_cast<int64_t>(std::nearbyint(static_cast<double>(side) / ratio));
  BASIN_CHECK(shorter >= 1, "an image of ", image.height, "x", image.width,
              " cannot be shown in a square of ", side, " pixels");
  const bool tall = image.height >= image.width;
  const int64_t height = tall ? side : shorter, width = tall ? shorter : side;
  const auto rows = linear_taps(image.height, height), columns = linear_taps(image.width, width);
  std::vector<float> padded(side * side, kFill);
  const auto narrowed = [&](int64_t row, int64_t x) {
    const uint8_t* in = &image.pixels[row * image.width];
    const LinearTap& tap = columns[x];
    return static_cast<float>(in[tap.first]) * (1.0f - tap.fraction) +
           static_cast<float>(in[tap.second]) * tap.fraction;
  };
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      padded[y * side + x] = narrowed(rows[y].first, x) * (1.0f - rows[y].fraction) +
                             narrowed(rows[y].second, x) * rows[y].fraction;
    }
  }
  return padded;
}

std::vector<float> blur_3x3(const std::vector<float>& image, int64_t side) {
  BASIN_CHECK(side >= 2 && static_cast<int64_t>(image.size()) == side * side, "blur of ",
              image.size(), " values as a square of ", side);
  const auto before = [](int64_t i) { return i == 0 ? 1 : i - 1; };
  const auto after = [side](int64_t i) { return i == side - 1 ? side - 2 : i + 1; };
  std::vector<float> across(image.size()), blurred(image.size());
  for (int64_t y = 0; y < side; ++y) {
    const float* in = &image[y * side];
    for (int64_t x = 0; x < side; ++x) {
      across[y * side + x] = 0.25f * (in[before(x)] + in[after(x)]) + 0.5f * in[x];
    }
  }
  for (int64_t y = 0; y < side; ++y) {
    const float* above = &across[before(y) * side];
    const float* below = &across[after(y) * side];
    for (int64_t x = 0; x < side; ++x) {
      blurred[y * side + x] = 0.25f * (above[x] + below[x]) + 0.5f * across[y * side + x];
    }
  }
  return blurred;
}

void render_xray(GreyImage image, int64_t side, uint8_t* pixels) {
  equalize_histogram(image);
  for (const float value : blur_3x3(fit_and_pad(image, side), side)) {
    const auto level = static_cast<uint8_t>(std::clamp(std::nearbyint(value), 0.0f, 255.0f));
    for (int c = 0; c < 3; ++c) *pixels++ = level;
  }
}

}  // namespace basin::data
