// Draws the image domains of the fashion data set out of Fashion-MNIST's photographs. A drawing is
// a function of the photograph and of the number given with it.
#pragma once

#include <cstdint>
#include <vector>

namespace basin::data {

constexpr int64_t kPhotoSide = 28;   // of the stored photographs: grey, 0 = background
constexpr int64_t kDrawnSide = 32;   // of photo, clipart and quickdraw
constexpr int64_t kMosaicSide = 64;  // of mosaic

// The photograph as a shop shows it, dark garment on white: [32, 32].
void render_photo(const uint8_t* photo, uint8_t* pixels);

// Three flat shades of one random hue, a dark outline, a pastel background: [32, 32, 3].
void render_clipart(const uint8_t* photo, int64_t number, uint8_t* pixels);

// A wobbly black contour with the strongest inner edges, on white: [32, 32].
void render_quickdraw(const uint8_t* photo, int64_t number, uint8_t* pixels);

// Which photographs mosaic `number` shows: `first` and up to three more of [begin, end).
std::vector<int64_t> mosaic_garments(int64_t number, int64_t first, int64_t begin, int64_t end);

// One to four garments on a grey canvas, of low contrast and blurred: [64, 64].
void render_mosaic(const std::vector<const uint8_t*>& photos, int64_t number, uint8_t* pixels);

}  // namespace basin::data
