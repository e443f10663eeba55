// The stem's batch normalisation, ReLU and max pooling in one, as CUDA kernels, NHWC.
//
// Forward: the tiles of batch normalisation, over the pixels of the output. A thread has a vector
// of channels of every 32nd pixel; it normalises the nine pixels of the window and keeps the
// largest. Each pixel of x is normalised 9/4 times, but comes from memory once. Reads x, writes y
// and the index, each a quarter of x in elements.
//
// Backward: the passes of batch normalisation with a dz that is gathered: a pixel looks at the up
// to four windows that it lies in, so no two threads write one element and every sum has one order.
// Reads x, dy and the index twice, writes dx.
#include "kernels/batch_norm_max_pool/call.h"

#include "kernels/batch_norm/cuda_passes.h"

namespace basin {
namespace {

template <class T>
__global__ void batch_norm_max_pool_forward(BatchNormMaxPoolForward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const Channels mine = my_channels<T>(call.channels, gridDim.y - 1 - blockIdx.y);
  if (mine.count == 0) return;
  const Normalisation<T> normalisation(call.input, mine);
  const int64_t oh = call.out_height(), ow = call.out_width(), pixels = call.batch * oh * ow;
  for_each_row_in_reverse(pixels, [&](int64_t pixel) {
    const int64_t n = pixel / (oh * ow), p = pixel / ow % oh, q = pixel % ow;
    float largest[kCount] = {};  // what the ReLU makes of negative numbers
    Pack<uint8_t, kCount> index;
    for (int k = 0; k < kCount; ++k) index.values[k] = call.kNowhere;
    for (int window = 0; window < 9; ++window) {
      const int64_t h = 2 * p - 1 + window / 3, w = 2 * q - 1 + window % 3;
      if (h < 0 || h >= call.height || w < 0 || w >= call.width) continue;
      float x[kCount];
      load(call.input.x + ((n * call.height + h) * call.width + w) * call.channels + mine.first,
           mine.count, x);
      for (int k = 0; k < kCount; ++k) {
        const float z = to_float(from_float<T>(normalisation.of(k, x[k])));
        if (z > largest[k]) {
          largest[k] = z;
          index.values[k] = static_cast<uint8_t>(window);
        }
      }
    }
    const int64_t out = pixel * call.channels + mine.first;
    store(call.y + out, mine.count, largest);
    if (call.index) store_bytes(call.index + out, mine.count, index);
  });
}

// dz gathered from the windows that a pixel lies in.
template <class T>
struct PooledGradient {
  const T* dy;
  const uint8_t* index;
  int64_t height, width, out_height, out_width;

  static constexpr int kCount = kVectorSize<T>;
  struct Fetched {
    float dz[kCount];
  };
  __device__ Fetched fetch(const BatchNormBackward<T>& call, int64_t row,
                           const Channels& mine) const {
    Fetched fetched;
    auto& dz = fetched.dz;
    const int64_t n = row / (height * width), h = row / width % height, w = row % width;
    for (int k = 0; k < kCount; ++k) dz[k] = 0;
    // Windows p with 2p-1 <= h <= 2p+1.
    for (int64_t p = h / 2; p <= (h + 1) / 2 && p < out_height; ++p) {
      for (int64_t q = w / 2; q <= (w + 1) / 2 && q < out_width; ++q) {
        const int64_t from = ((n * out_height + p) * out_width + q) * call.channels + mine.first;
        const auto place = static_cast<uint8_t>(3 * (h - 2 * p + 1) + (w - 2 * q + 1));
        float values[kCount];
        Pack<uint8_t, kCount> places;
        load(dy + from, mine.count, values);
        load_bytes(index + from, mine.count, places);
        for (int k = 0; k < kCount; ++k) dz[k] += places.values[k] == place ? values[k] : 0;
      }
    }
    return fetched;
  }
  __device__ void unpack(const BatchNormBackward<T>&, const Fetched& fetched,
                         float (&dz)[kCount]) const {
    for (int k = 0; k < kCount; ++k) dz[k] = fetched.dz[k];
  }
};

template <class T>
void launch_call(const BatchNormMaxPoolForward<T>& call, StreamHandle stream) {
  const int64_t pixels = call.batch * call.out_height() * call.out_width();
  launch(batch_norm_max_pool_forward<T>, dim3(row_blocks(pixels), tiles<T>(call.channels)),
         dim3(kAcross, kDown), 0, stream, call);
}

template <class T>
void launch_call(const BatchNormMaxPoolBackward<T>& call, StreamHandle stream) {
  const PooledGradient<T> gradient{call.dy,    call.index,        call.height,
                                   call.width, call.out_height(), call.out_width()};
  launch_backward(call.normalisation(), gradient, stream);
}

}  // namespace

BASIN_DEFINE_RUN(BatchNormMaxPoolForward<float>)
BASIN_DEFINE_RUN(BatchNormMaxPoolForward<Bf16>)
BASIN_DEFINE_RUN(BatchNormMaxPoolBackward<float>)
BASIN_DEFINE_RUN(BatchNormMaxPoolBackward<Bf16>)

}  // namespace basin
