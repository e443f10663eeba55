// The gradient of 3x3 max pooling, gathered on the CPU for a range of pixels.
#pragma once

#include <cstdint>

namespace basin::cpu {

// A window that a pixel lies in: its dy and index, and the place of the pixel in it.
template <class T>
struct PooledWindow {
  const T* dy;
  const uint8_t* index;
  uint8_t place;
};

template <int kWindows, class T>
void gather_pixel(const PooledWindow<T> (&windows)[4], int64_t channels, bool accumulate,
                  T* __restrict dx) {
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) {
    T sum = accumulate ? dx[c] : T(0);
    for (int i = 0; i < kWindows; ++i) {
      sum += windows[i].index[c] == windows[i].place ? windows[i].dy[c] : T(0);
    }
    dx[c] = sum;
  }
}

// dx of pixels [begin, end), counted through all images: set to, or added to it, the sum of dy over
// the windows whose index points to the pixel. `call` has the dy, index and shape of
// MaxPoolBackward.
template <class Call, class T>
void gather_pooled(const Call& call, int64_t begin, int64_t end, bool accumulate, T* dx) {
  const int64_t oh = call.out_height(), ow = call.out_width(), channels = call.channels;
  int64_t w = begin % call.width, h = begin / call.width % call.height;
  int64_t n = begin / call.width / call.height;
  for (int64_t pixel = begin; pixel < end; ++pixel, dx += channels) {
    PooledWindow<T> windows[4] = {};
    int count = 0;
    // Windows p with 2p-1 <= h <= 2p+1.
    for (int64_t p = h / 2; p <= (h + 1) / 2 && p < oh; ++p) {
      for (int64_t q = w / 2; q <= (w + 1) / 2 && q < ow; ++q) {
        const int64_t at = ((n * oh + p) * ow + q) * channels;
        windows[count++] = {call.dy + at, call.index + at,
                            static_cast<uint8_t>(3 * (h - 2 * p + 1) + (w - 2 * q + 1))};
      }
    }
    if (count == 4) {
      gather_pixel<4>(windows, channels, accumulate, dx);
    } else if (count == 2) {
      gather_pixel<2>(windows, channels, accumulate, dx);
    } else {
      gather_pixel<1>(windows, channels, accumulate, dx);
    }
    if (++w == call.width) {
      w = 0;
      if (++h == call.height) {
        h = 0;
        ++n;
      }
    }
  }
}

}  // namespace basin::cpu
