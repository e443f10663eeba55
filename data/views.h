// What the rows of a batch show of stored images, for the call kernels/augment/call.h, from the
// random numbers by which data sets augment: the batches are then those of the loader, to the bit.
#pragma once

#include <cstdint>

#include "data/image/image.h"
#include "kernels/augment/call.h"

namespace basin::data {

// Image `index` of images stored one behind the other as [height, width, 3], shown as
// shift_and_flip shows it.
ImageView shifted_view(int64_t index, int64_t height, int64_t width, const ShiftAndFlip& change);

// `box` of an image stored as [stored_height, stored_width, 3] from byte `offset` on, shown as
// resize_bilinear shows it in [height, width, 3], and then, if `flip`, mirrored. Adds the weights
// to `table`. Throws Error where the box reaches beyond the image.
ImageView cropped_view(int64_t offset, int64_t stored_height, int64_t stored_width,
                       const CropBox& box, bool flip, int64_t height, int64_t width,
                       ResizeTable& table);

}  // namespace basin::data
