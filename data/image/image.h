// Images as [height, width, 3] bytes: decoding, resizing, cropping, and writing PNG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/random.h"

namespace basin::data {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [height, width, 3] RGB
};

// A rectangle of pixels.
struct CropBox {
  int64_t top, left, height, width;
};

// Throws Error where the box is empty or reaches beyond an image of height x width.
void check_inside(const CropBox& box, int64_t height, int64_t width);

// Empty if the header of the PNG or JPEG file at `path` is sound, else what is wrong with it.
std::string image_defect(const std::string& path);

// Decodes a PNG or JPEG file of at most 2^26 pixels; alpha is dropped, grey becomes R = G = B.
// Throws Error naming the file.
Image decode_image(const std::string& path);

// Resizes `box` of the image to [height, width, 3] as Pillow's BILINEAR does after a crop: a
// triangle filter, widened by the scale when shrinking, horizontally and then vertically, with
// 22-bit fixed-point weights and 8-bit rows between. Equal to Pillow bit for bit.
void resize_bilinear(const Image& image, const CropBox& box, int64_t height, int64_t width,
                     uint8_t* pixels);

// torchvision's evaluation crop for a square of `side`: the short side becomes
// round(side * 256 / 224), then the centre is cut out.
void resize_and_center_crop(const Image& image, int64_t side, uint8_t* pixels);

// The box of torchvision's RandomResizedCrop: area 8 to 100 %, aspect ratio 3/4 to 4/3.
CropBox random_resized_crop(int64_t height, int64_t width, RandomStream& random);

// A move (edge pixels repeated), and then a mirror from left to right.
struct ShiftAndFlip {
  int64_t down, right;
  bool flip;
};

// Moves by up to an eighth of the side each way, and, where a mirrored image keeps its label
// (`mirror`), a flip half of the time.
ShiftAndFlip random_shift_and_flip(int64_t height, int64_t width, bool mirror,
                                   RandomStream& random);

// Both [height, width, 3], not overlapping.
void shift_and_flip(const uint8_t* in, int64_t height, int64_t width, const ShiftAndFlip& change,
                    uint8_t* out);

// Writes [height, width, 3] as PNG; throws Error naming the file.
void write_png(const std::string& path, const uint8_t* pixels, int64_t height, int64_t width);

}  // namespace basin::data
