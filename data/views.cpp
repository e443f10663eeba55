// Views of stored images.
#include "data/views.h"

namespace basin::data {

ImageView shifted_view(int64_t index, int64_t height, int64_t width, const ShiftAndFlip& change) {
  ImageView view{};
  view.offset = index * height * width * 3;
  view.pitch = static_cast<int32_t>(width * 3);
  view.box_height = view.resized_height = static_cast<int32_t>(height);
  view.box_width = view.resized_width = static_cast<int32_t>(width);
  view.top = static_cast<int32_t>(-change.down);
  view.left = static_cast<int32_t>(-change.right);
  view.flip = change.flip;
  return view;
}

ImageView cropped_view(int64_t offset, int64_t stored_height, int64_t stored_width,
                       const CropBox& box, bool flip, int64_t height, int64_t width,
                       ResizeTable& table) {
  check_inside(box, stored_height, stored_width);
  ImageView view{};
  view.offset = offset + (box.top * stored_width + box.left) * 3;
  view.pitch = static_cast<int32_t>(stored_width * 3);
  view.box_height = static_cast<int32_t>(box.height);
  view.box_width = static_cast<int32_t>(box.width);
  view.resized_height = static_cast<int32_t>(height);
  view.resized_width = static_cast<int32_t>(width);
  view.row_taps = table.add(box.height, height);
  view.column_taps = table.add(box.width, width);
  view.flip = flip;
  return view;
}

}  // namespace basin::data
