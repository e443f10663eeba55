// A batch for the network straight from the bytes of a data set: crop, resize, shift, flip,
// normalise, block and pixel shuffle, mixup. What is drawn at random is made on the host (data/),
// so that every device sees the same images.
//
// All pointers may stay the same from batch to batch, as a captured step needs it: views, indices,
// partners and share are then written anew for each batch.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/augment/resize.h"

namespace basin {

// What a row of the batch shows of a stored image: a box of it, resized, and of that a window of
// the size of the batch's images, perhaps mirrored.
struct ImageView {
  int64_t offset;  // of the box's first byte in `pixels`; negative: no image, a row of zeros
  int32_t pitch;   // bytes from row to row of the stored image
  int32_t box_height, box_width;
  int32_t resized_height, resized_width;  // what the box is resized to
  int32_t row_taps, column_taps;  // where the taps of the two resizes are; unused where the box
                                  // has the size already
  int32_t top, left;  // the window's upper left corner in the resized box. Where the window
                      // reaches beyond, pixels of the edge are repeated: (-2, 3) moves the image
                      // 2 down and 3 to the left
  int32_t flip;       // 1: the window is mirrored left to right
};

// shown[n] = window of view n, [height, width, 3]; value[n, i] = (shown/255 - mean) / stddev of
// the channel; shuffled[n, i] = value[n, map[i]];
// y[n] = share * shuffled[n] + (1 - share) * shuffled[partners[n]]
template <class T>
struct Augment {
  static constexpr const char* kName = "augment";
  const uint8_t* pixels;    // stored images, RGB
  const ImageView* views;   // [batch]; null: row n shows image n, stored as [height, width, 3]
  const ResizeTap* taps;    // of the resizes that views ask for, or null
  const int32_t* weights;   // of the taps
  const uint32_t* map;      // [height * width * 3], or null: in place
  const int32_t* partners;  // [batch] rows, or null: no mixup
  const float* share;       // one element; only with partners
  std::array<float, 3> mean, stddev;
  T* y;  // [batch, height, width, 3]
  int64_t batch, height, width;
  double values() const { return 3.0 * static_cast<double>(batch * height * width); }
  double flops() const { return partners ? 3.0 * values() : 0; }
  // As if nothing were resized: what is read of the stored images is for the views to say.
  double bytes() const {
    return values() * (sizeof(T) + (partners ? 2.0 : 1.0)) +
           (map ? 4.0 * values() / static_cast<double>(batch) : 0);
  }
};

// row[n, c] = 1 where image indices[n] has the label c, else 0; of a negative index all are 0;
// targets[n] = share * row[n] + (1 - share) * row[partners[n]]
struct MixTargets {
  static constexpr const char* kName = "mix_targets";
  const int32_t* labels;      // the class of each image of the set; null: several labels an image,
  const uint8_t* label_rows;  // then 0 or 1, [images of the set, classes]
  const int64_t* indices;     // [batch] images of the set
  const int32_t* partners;    // [batch] rows, or null: no mixup
  const float* share;         // one element; only with partners
  float* targets;             // [batch, classes]
  int64_t batch, classes;
  double flops() const { return partners ? 3.0 * static_cast<double>(batch * classes) : 0; }
  double bytes() const {
    const double read = labels ? 0 : (partners ? 2.0 : 1.0);
    return static_cast<double>(batch * classes) * (sizeof(float) + read);
  }
};

}  // namespace basin
