// A batch for the network straight from the bytes of a data set: shift, flip, normalise, block and
// pixel shuffle, mixup. The random draws are made on the host (data/), so that every device sees
// the same images.
//
// All pointers may stay the same from batch to batch, as a captured step needs it.
#pragma once

#include <array>
#include <cstdint>

namespace basin {

// What a row of the batch shows: a stored image, moved, and then perhaps mirrored.
struct ImageView {
  int64_t image;
  int32_t down, right;  // pixels; those of the edge are repeated
  int32_t flip;         // 1: mirrored left to right
};

// shown[n] = view n, [height, width, 3]; value[n, i] = (shown/255 - mean) / stddev of the channel;
// shuffled[n, i] = value[n, map[i]];
// y[n] = share * shuffled[n] + (1 - share) * shuffled[partners[n]]
template <class T>
struct Augment {
  static constexpr const char* kName = "augment";
  const uint8_t* pixels;    // stored images, [height, width, 3] each
  const ImageView* views;   // [batch]; null: row n shows image n as it is
  const uint32_t* map;      // [height * width * 3], or null: in place
  const int32_t* partners;  // [batch] rows, or null: no mixup
  const float* share;       // one element; only with partners
  std::array<float, 3> mean, stddev;
  T* y;  // [batch, height, width, 3]
  int64_t batch, height, width;
  double values() const { return 3.0 * static_cast<double>(batch * height * width); }
  double flops() const { return partners ? 3.0 * values() : 0; }
  double bytes() const {
    return values() * (sizeof(T) + (partners ? 2.0 : 1.0)) +
           (map ? 4.0 * values() / static_cast<double>(batch) : 0);
  }
};

// row[n, c] = 1 where image n of the batch has the label c, else 0;
// targets[n] = share * row[n] + (1 - share) * row[partners[n]]
struct MixTargets {
  static constexpr const char* kName = "mix_targets";
  const int32_t* labels;      // [batch], the class of each image; null: several labels an image,
  const uint8_t* label_rows;  // then 0 or 1, [batch, classes]
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
