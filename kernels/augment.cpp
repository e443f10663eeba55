// Batches from bytes on the CPU.
#include "kernels/augment.h"

#include <algorithm>
#include <vector>

namespace basin::cpu {
namespace {

struct Levels {
  float of[3][256];  // of channel and byte

  explicit Levels(const Augment<float>& call) {
    for (int c = 0; c < 3; ++c) {
      for (int byte = 0; byte < 256; ++byte) {
        of[c][byte] = (static_cast<float>(byte) / 255.0f - call.mean[c]) / call.stddev[c];
      }
    }
  }
};

// Writes what `view` shows, [height, width, 3].
void show(const Augment<float>& call, const ImageView& view, uint8_t* shown) {
  const uint8_t* from = call.pixels + view.offset;
  int64_t pitch = view.pitch;
  std::vector<uint8_t> resized;
  if (view.box_height != view.resized_height || view.box_width != view.resized_width) {
    resized.resize(int64_t{view.resized_height} * view.resized_width * 3);
    run(Resize{from, pitch, view.box_height, view.box_width, call.taps + view.row_taps,
               call.taps + view.column_taps, call.weights, resized.data(), view.resized_height,
               view.resized_width});
    from = resized.data();
    pitch = int64_t{view.resized_width} * 3;
  }
  for (int64_t y = 0; y < call.height; ++y) {
    const int64_t from_y = std::clamp<int64_t>(view.top + y, 0, view.resized_height - 1);
    for (int64_t x = 0; x < call.width; ++x) {
      const int64_t in_window = view.flip ? call.width - 1 - x : x;
      const int64_t from_x = std::clamp<int64_t>(view.left + in_window, 0, view.resized_width - 1);
      std::copy_n(from + from_y * pitch + from_x * 3, 3, shown + (y * call.width + x) * 3);
    }
  }
}

// One row; partner null: no image there.
template <bool kShuffled, bool kMixed>
void write_row(const Augment<float>& call, const Levels& levels, const uint8_t* own,
               const uint8_t* partner, float* __restrict y) {
  const float share = kMixed ? *call.share : 1.0f;
  const uint32_t* map = call.map;
  const int64_t size = call.height * call.width * 3;
  for (int64_t i = 0; i < size; i += 3) {
    for (int64_t c = 0; c < 3; ++c) {
      const int64_t from = kShuffled ? map[i + c] : i + c;
      const int64_t channel = kShuffled ? from % 3 : c;
      const float value = levels.of[channel][own[from]];
      if constexpr (kMixed) {
        const float other = partner ? levels.of[channel][partner[from]] : 0.0f;
        y[i + c] = share * value + (1.0f - share) * other;
      } else {
        y[i + c] = value;
      }
    }
  }
}

}  // namespace

void run(const Augment<float>& call) {
  const Levels levels(call);
  const int64_t image_size = call.height * call.width * 3;
  std::vector<uint8_t> shown;
  if (call.views) {
    shown.resize(call.batch * image_size);
    for (int64_t n = 0; n < call.batch; ++n) {
      if (call.views[n].offset >= 0) show(call, call.views[n], &shown[n * image_size]);
    }
  }
  const auto image = [&](int64_t n) -> const uint8_t* {
    if (!call.views) return call.pixels + n * image_size;
    return call.views[n].offset >= 0 ? &shown[n * image_size] : nullptr;
  };
  for (int64_t n = 0; n < call.batch; ++n) {
    float* y = call.y + n * image_size;
    const uint8_t* own = image(n);
    if (!own) {
      std::fill_n(y, image_size, 0.0f);
    } else if (call.partners) {
      const uint8_t* partner = image(call.partners[n]);
      call.map ? write_row<true, true>(call, levels, own, partner, y)
               : write_row<false, true>(call, levels, own, partner, y);
    } else {
      call.map ? write_row<true, false>(call, levels, own, nullptr, y)
               : write_row<false, false>(call, levels, own, nullptr, y);
    }
  }
}

void run(const MixTargets& call) {
  const auto target = [&](int64_t n, int64_t c) {
    const int64_t index = call.indices[n];
    if (index < 0) return 0.0f;
    if (call.labels) return call.labels[index] == c ? 1.0f : 0.0f;
    return static_cast<float>(call.label_rows[index * call.classes + c]);
  };
  for (int64_t n = 0; n < call.batch; ++n) {
    for (int64_t c = 0; c < call.classes; ++c) {
      float value = target(n, c);
      if (call.partners && call.indices[n] >= 0) {
        value = *call.share * value + (1.0f - *call.share) * target(call.partners[n], c);
      }
      call.targets[n * call.classes + c] = value;
    }
  }
}

}  // namespace basin::cpu
