// The paper's preparation of chest X-rays, step by step, as its code does it with Pillow and
// OpenCV (third_party/chexpert_data of the official code).
#pragma once

#include <cstdint>
#include <vector>

#include "data/image/image.h"
#include "kernels/base/random.h"

namespace basin::data {

struct GreyImage {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [height, width]
};

// 0.299 R + 0.587 G + 0.114 B in 14-bit fixed point, as OpenCV; grey images keep their values.
GreyImage to_grey(const Image& image);

// A rotation (clockwise) and scaling about the middle of the image, and then a shift.
struct AffineMap {
  double degrees = 0, scale = 1;
  int64_t right = 0, down = 0;
};

// Uniform: rotation within 15 degrees, shift within 5 % of the side, rounded to whole pixels,
// scale 0.95 to 1.05.
AffineMap random_affine(int64_t height, int64_t width, RandomStream& random);

// The image moved by `map`; each pixel is the nearest one of the input, 128 outside of it. Equal to
// torchvision's affine on a Pillow image.
GreyImage apply_affine(const GreyImage& image, const AffineMap& map);

// Histogram equalisation, as OpenCV's equalizeHist; an image of one value is left as it is.
void equalize_histogram(GreyImage& image);

// Resized, keeping its ratio, so that the long side is `side`, in the upper left corner of
// [side, side] filled with 128. Bilinear without antialiasing, as OpenCV's INTER_LINEAR in float.
std::vector<float> fit_and_pad(const GreyImage& image, int64_t side);

// Gaussian blur of [side, side] with the weights 1/4, 1/2, 1/4 each way, mirrored about the pixels
// of the border (OpenCV's BORDER_REFLECT_101). side >= 2.
std::vector<float> blur_3x3(const std::vector<float>& image, int64_t side);

// Equalised, fitted, blurred, rounded to whole levels, grey as R = G = B: [side, side, 3].
void render_xray(GreyImage image, int64_t side, uint8_t* pixels);

}  // namespace basin::data
