// Decoding and cropping.
#include "data/image/image.h"

#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#include <stb_image.h>
#include <stb_image_write.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "kernels/base/check.h"

namespace basin::data {

namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 26;
constexpr int kMaxAspect = 100;  // beyond it, resizing by the short side makes a giant

}  // namespace

void check_inside(const CropBox& box, int64_t height, int64_t width) {
  BASIN_CHECK(box.top >= 0 && box.left >= 0 && box.height >= 1 && box.width >= 1 &&
                  box.top + box.height <= height && box.left + box.width <= width,
              "crop box ", box.height, "x", box.width, " at (", box.top, ", ", box.left,
              ") outside of an image of ", height, "x", width);
}

std::string image_defect(const std::string& path) {
  int width = 0, height = 0, channels = 0;
  if (!stbi_info(path.c_str(), &width, &height, &channels)) {
    if (!std::filesystem::exists(path)) return "no such file";
    return concat("not a PNG or JPEG image that can be read (", stbi_failure_reason(), ")");
  }
  if (width < 1 || height < 1 || int64_t{width} * height > kMaxPixels) {
    return concat("claims ", width, "x", height, " pixels; at most ", kMaxPixels, " are accepted");
  }
  if (std::max(width, height) > kMaxAspect * std::min(width, height)) {
    return concat("is ", width, "x", height, "; one side is more than ", kMaxAspect,
                  " times the other");
  }
  return "";
}

Image decode_image(const std::string& path) {
  const std::string defect = image_defect(path);
  BASIN_CHECK(defect.empty(), path, ": ", defect);
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load(path.c_str(), &width, &height, &channels, 3), stbi_image_free);
  BASIN_CHECK(decoded, path, ": decoding fails; the file is damaged or cut off (stb_image: ",
              stbi_failure_reason(), ")");
  Image image{height, width, {}};
  image.pixels.assign(decoded.get(), decoded.get() + image.height * image.width * 3);
  return image;
}

void resize_and_center_crop(const Image& image, int64_t side, uint8_t* pixels) {
  const int64_t shorter = std::llround(static_cast<double>(side) * 256.0 / 224.0);
  const bool wide = image.width > image.height;
  const int64_t longer =  // rounded down, as torchvision does
      shorter * std::max(image.width, image.height) / std::min(image.width, image.height);
  const int64_t height = wide ? shorter : longer, width = wide ? longer : shorter;
  std::vector<uint8_t> resized(height * width * 3);
  resize_bilinear(image, {0, 0, image.height, image.width}, height, width, resized.data());
  // nearbyint rounds halves to even, as Python's round() does.
  const auto top = static_cast<int64_t>(std::nearbyint(static_cast<double>(height - side) / 2));
  const auto left = static_cast<int64_t>(std::nearbyint(static_cast<double>(width - side) / 2));
  for (int64_t y = 0; y < side; ++y) {
    std::copy_n(&resized[((top + y) * width + left) * 3], side * 3, pixels + y * side * 3);
  }
}

CropBox random_resized_crop(int64_t height, int64_t width, RandomStream& random) {
  const double area = static_cast<double>(height) * static_cast<double>(width);
  constexpr double kMinRatio = 3.0 / 4.0, kMaxRatio = 4.0 / 3.0;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double crop_area = area * (0.08 + 0.92 * random.uniform());
    const double ratio =
        std::exp(std::log(kMinRatio) + (std::log(kMaxRatio) - std::log(kMinRatio)) *
                                           static_cast<double>(random.uniform()));
    const int64_t crop_width = std::llround(std::sqrt(crop_area * ratio));
    const int64_t crop_height = std::llround(std::sqrt(crop_area / ratio));
    if (crop_width >= 1 && crop_width <= width && crop_height >= 1 && crop_height <= height) {
      const int64_t top = random.below(static_cast<uint32_t>(height - crop_height + 1));
      const int64_t left = random.below(static_cast<uint32_t>(width - crop_width + 1));
      return {top, left, crop_height, crop_width};
    }
  }
  // No box fitted: the largest central one of an allowed ratio.
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  CropBox box{0, 0, height, width};
  if (ratio < kMinRatio) {
    box.height = std::llround(static_cast<double>(width) / kMinRatio);
  } else if (ratio > kMaxRatio) {
    box.width = std::llround(static_cast<double>(height) * kMaxRatio);
  }
  box.top = (height - box.height) / 2;
  box.left = (width - box.width) / 2;
  return box;
}

ShiftAndFlip random_shift_and_flip(int64_t height, int64_t width, bool mirror,
                                   RandomStream& random) {
  const int64_t pad_y = height / 8, pad_x = width / 8;
  const int64_t down = static_cast<int64_t>(random.below(static_cast<uint32_t>(2 * pad_y + 1)));
  const int64_t right = static_cast<int64_t>(random.below(static_cast<uint32_t>(2 * pad_x + 1)));
  const bool flip = (random.bits() >> 31) != 0 && mirror;
  return {down - pad_y, right - pad_x, flip};
}

void shift_and_flip(const uint8_t* in, int64_t height, int64_t width, const ShiftAndFlip& change,
                    uint8_t* out) {
  for (int64_t y = 0; y < height; ++y) {
    const int64_t from_y = std::clamp<int64_t>(y - change.down, 0, height - 1);
    for (int64_t x = 0; x < width; ++x) {
      const int64_t shown = change.flip ? width - 1 - x : x;
      const int64_t from_x = std::clamp<int64_t>(shown - change.right, 0, width - 1);
      std::copy_n(in + (from_y * width + from_x) * 3, 3, out + (y * width + x) * 3);
    }
  }
}

void write_png(const std::string& path, const uint8_t* pixels, int64_t height, int64_t width) {
  const int ok = stbi_write_png(path.c_str(), static_cast<int>(width), static_cast<int>(height), 3,
                                pixels, static_cast<int>(width * 3));
  BASIN_CHECK(ok, path, ": cannot be written; check that the folder exists and is writable");
}

}  // namespace basin::data
