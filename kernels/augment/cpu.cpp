// Batches from bytes on the CPU, a row a thread.
#include "kernels/augment/call.h"
#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"

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
  const uint8_t* stored = call.pixels + view.image * call.height * call.width * 3;
  for (int64_t y = 0; y < call.height; ++y) {
    const int64_t from_y = std::clamp<int64_t>(y - view.down, 0, call.height - 1);
    for (int64_t x = 0; x < call.width; ++x) {
      const int64_t moved_x = view.flip ? call.width - 1 - x : x;
      const int64_t from_x = std::clamp<int64_t>(moved_x - view.right, 0, call.width - 1);
      std::copy_n(stored + (from_y * call.width + from_x) * 3, 3, shown + (y * call.width + x) * 3);
    }
  }
}

// Values [begin, end) of what `shown` becomes before mixup.
template <bool kShuffled>
void normalise(const Augment<float>& call, const Levels& levels, const uint8_t* shown,
               int64_t begin, int64_t end, float* values) {
  if constexpr (kShuffled) {
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t from = call.map[i];
      values[i - begin] = levels.of[from % 3][shown[from]];
    }
  } else {
    for (int64_t i = begin; i < end; i += 3) {
      float* pixel = values + (i - begin);
      for (int64_t c = 0; c < 3; ++c) pixel[c] = levels.of[c][shown[i + c]];
    }
  }
}

// One row of the batch; `partner`: null without mixup.
template <bool kShuffled>
void write_row(const Augment<float>& call, const Levels& levels, const uint8_t* own,
               const uint8_t* partner, float* __restrict y) {
  const int64_t size = call.height * call.width * 3;
  if (!partner) {
    normalise<kShuffled>(call, levels, own, 0, size, y);
    return;
  }
  const float share = *call.share;
  constexpr int64_t kPart = 3 * 512;  // stays in the cache
  float values[kPart], others[kPart];
  for (int64_t begin = 0; begin < size; begin += kPart) {
    const int64_t end = std::min(size, begin + kPart);
    normalise<kShuffled>(call, levels, own, begin, end, values);
    normalise<kShuffled>(call, levels, partner, begin, end, others);
    for (int64_t i = 0; i < end - begin; ++i) {
      y[begin + i] = share * values[i] + (1.0f - share) * others[i];
    }
  }
}

void compute(const Augment<float>& call) {
  const Levels levels(call);
  const int64_t image_size = call.height * call.width * 3;
  const uint8_t* images = call.pixels;
  std::vector<uint8_t> shown;
  if (call.views) {
    shown.resize(call.batch * image_size);
    parallel_for(call.batch, [&](int64_t n) { show(call, call.views[n], &shown[n * image_size]); });
    images = shown.data();
  }
  parallel_for(call.batch, [&](int64_t n) {
    float* y = call.y + n * image_size;
    const uint8_t* own = images + n * image_size;
    const uint8_t* partner = call.partners ? images + call.partners[n] * image_size : nullptr;
    call.map ? write_row<true>(call, levels, own, partner, y)
             : write_row<false>(call, levels, own, partner, y);
  });
}

void compute(const MixTargets& call) {
  const auto target = [&](int64_t n, int64_t c) {
    if (call.labels) return call.labels[n] == c ? 1.0f : 0.0f;
    return static_cast<float>(call.label_rows[n * call.classes + c]);
  };
  for (int64_t n = 0; n < call.batch; ++n) {
    for (int64_t c = 0; c < call.classes; ++c) {
      float value = target(n, c);
      if (call.partners) {
        value = *call.share * value + (1.0f - *call.share) * target(call.partners[n], c);
      }
      call.targets[n * call.classes + c] = value;
    }
  }
}

}  // namespace

BASIN_CPU_RUN(Augment<float>)
BASIN_CPU_RUN(MixTargets)

}  // namespace basin::cpu
