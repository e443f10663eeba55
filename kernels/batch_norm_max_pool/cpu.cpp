// The stem's batch normalisation, ReLU and max pooling on the CPU, with the bits of the separate
// calls and without the large tensors between them. Forward normalises the few rows that a row of
// the output reads. Backward gathers dz for one chunk of rows at a time.
#include "kernels/batch_norm_max_pool/call.h"

#include <vector>

#include "kernels/batch_norm/cpu_tiles.h"
#include "kernels/device/declarations.h"
#include "kernels/library/pool_gather.h"

namespace basin::cpu {
namespace {

constexpr int64_t kStripe = 8;  // consecutive rows of the output; each needs two more rows of x

// The largest positive value of a window, a pixel of all channels at each place, and where it is.
template <bool kIndex, class T>
void largest_of(const T* const (&window)[9], int64_t channels, T* __restrict y,
                uint8_t* __restrict index) {
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) {
    T largest = 0;
    int where = BatchNormMaxPoolForward<T>::kNowhere;
    for (int place = 0; place < 9; ++place) {
      const bool larger = window[place][c] > largest;
      largest = larger ? window[place][c] : largest;
      where = larger ? place : where;
    }
    y[c] = largest;
    if constexpr (kIndex) index[c] = static_cast<uint8_t>(where);
  }
}

template <class T>
void compute(const BatchNormMaxPoolForward<T>& call) {
  const int64_t oh = call.out_height(), ow = call.out_width(), channels = call.channels;
  const int64_t row_size = call.width * channels, stripes = (oh + kStripe - 1) / kStripe;
  const std::vector<T> outside(static_cast<size_t>(channels));  // of the image: never the largest
  std::vector<T> rings(static_cast<size_t>(threads() * 3 * row_size));
  parallel_slots(call.batch * stripes, [&](int64_t slot, int64_t stripe) {
    const int64_t n = stripe / stripes, first = stripe % stripes * kStripe;
    T* const ring = rings.data() + slot * 3 * row_size;  // normalised row h is at h % 3
    int64_t ready = std::max<int64_t>(0, 2 * first - 1);
    for (int64_t p = first; p < std::min(oh, first + kStripe); ++p) {
      for (; ready < std::min(call.height, 2 * p + 2); ++ready) {
        BatchNormInput<T> row = call.input;
        row.x += (n * call.height + ready) * row_size;
        run(BatchNormForward<T>{.input = row,
                                .y = ring + ready % 3 * row_size,
                                .relu = true,
                                .rows = call.width,
                                .channels = channels});
      }
      for (int64_t q = 0; q < ow; ++q) {
        const T* window[9];
        for (int place = 0; place < 9; ++place) {
          const int64_t h = 2 * p - 1 + place / 3, w = 2 * q - 1 + place % 3;
          const bool inside = h >= 0 && h < call.height && w >= 0 && w < call.width;
          window[place] = inside ? ring + h % 3 * row_size + w * channels : outside.data();
        }
        const int64_t out = ((n * oh + p) * ow + q) * channels;
        if (call.index) {
          largest_of<true>(window, channels, call.y + out, call.index + out);
        } else {
          largest_of<false>(window, channels, call.y + out, nullptr);
        }
      }
    }
  });
}

template <class T>
void compute(const BatchNormMaxPoolBackward<T>& call) {
  const BatchNormBackward<T> normalisation = call.normalisation();
  const int64_t chunk_size =
      std::min(batch_norm_chunk_rows(call.channels), normalisation.rows) * call.channels;
  std::vector<T> chunks(static_cast<size_t>(threads() * chunk_size));
  batch_norm_backward(normalisation, [&](int64_t slot, int64_t begin, int64_t end) {
    T* const dz = chunks.data() + slot * chunk_size;
    gather_pooled(call, begin, end, false, dz);
    return dz;
  });
}

}  // namespace

BASIN_CPU_RUN(BatchNormMaxPoolForward<float>)
BASIN_CPU_RUN(BatchNormMaxPoolForward<double>)
BASIN_CPU_RUN(BatchNormMaxPoolBackward<float>)
BASIN_CPU_RUN(BatchNormMaxPoolBackward<double>)

}  // namespace basin::cpu
