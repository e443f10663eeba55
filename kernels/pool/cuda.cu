// Pooling as CUDA kernels, NHWC.
//
// Max pooling: a thread takes a vector of channels of one pixel, of the output forward and of the
// input backward. Backward gathers: it looks at the up to four windows that a pixel lies in, so no
// two threads write one element and the order of its sum is fixed. Forward reads x (its 9/4 uses of
// a pixel mostly from cache) and writes y and the index; backward reads dy and the index, writes
// dx.
//
// Average pooling: forward, a block of 32 channels x 8 pixels for each image; each thread adds
// up every eighth pixel, and the eight sums are added in order. Reads x once. Backward, a thread
// takes a vector of channels of a pixel. Writes dx once.
#include "kernels/pool/call.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

// A vector of channels of a pixel: number `vector` of an array of pixels.
struct PixelVector {
  int64_t pixel, channel;
  int count;
};

template <int kCount>
__device__ PixelVector pixel_vector(int64_t vector, int64_t channels) {
  const int64_t per_pixel = (channels + kCount - 1) / kCount;
  const int64_t channel = vector % per_pixel * kCount;
  return {vector / per_pixel, channel,
          static_cast<int>(channels - channel < kCount ? channels - channel : kCount)};
}

template <class T>
int64_t vectors(int64_t pixels, int64_t channels) {
  return pixels * ((channels + kVectorSize<T> - 1) / kVectorSize<T>);
}

template <class T>
__global__ void max_pool_forward(MaxPoolForward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const int64_t oh = call.out_height(), ow = call.out_width();
  const int64_t total = call.batch * oh * ow * ((call.channels + kCount - 1) / kCount);
  for_each_vector<1>(total, [&](int64_t vector, int) {
    const PixelVector at = pixel_vector<kCount>(vector, call.channels);
    const int64_t n = at.pixel / (oh * ow), p = at.pixel / ow % oh, q = at.pixel % ow;
    float largest[kCount] = {};
    Pack<uint8_t, kCount> index{};
    bool first = true;
    for (int window = 0; window < 9; ++window) {
      const int64_t h = 2 * p - 1 + window / 3, w = 2 * q - 1 + window % 3;
      if (h < 0 || h >= call.height || w < 0 || w >= call.width) continue;
      float x[kCount];
      load(call.x + ((n * call.height + h) * call.width + w) * call.channels + at.channel, at.count,
           x);
      for (int k = 0; k < kCount; ++k) {
        if (first || x[k] > largest[k]) {
          largest[k] = x[k];
          index.values[k] = static_cast<uint8_t>(window);
        }
      }
      first = false;
    }
    const int64_t out = at.pixel * call.channels + at.channel;
    store(call.y + out, at.count, largest);
    if (call.index) store_bytes(call.index + out, at.count, index);
  });
}

template <class T>
__global__ void max_pool_backward(MaxPoolBackward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const int64_t oh = call.out_height(), ow = call.out_width();
  const int64_t total =
      call.batch * call.height * call.width * ((call.channels + kCount - 1) / kCount);
  for_each_vector<1>(total, [&](int64_t vector, int) {
    const PixelVector at = pixel_vector<kCount>(vector, call.channels);
    const int64_t h = at.pixel / call.width % call.height, w = at.pixel % call.width;
    const int64_t n = at.pixel / (call.height * call.width);
    float dx[kCount];
    for (int k = 0; k < kCount; ++k) dx[k] = 0;
    // Windows p with 2p-1 <= h <= 2p+1.
    for (int64_t p = h / 2; p <= (h + 1) / 2 && p < oh; ++p) {
      for (int64_t q = w / 2; q <= (w + 1) / 2 && q < ow; ++q) {
        const int64_t from = ((n * oh + p) * ow + q) * call.channels + at.channel;
        const auto place = static_cast<uint8_t>(3 * (h - 2 * p + 1) + (w - 2 * q + 1));
        float dy[kCount];
        Pack<uint8_t, kCount> index;
        load(call.dy + from, at.count, dy);
        load_bytes(call.index + from, at.count, index);
        for (int k = 0; k < kCount; ++k) dx[k] += index.values[k] == place ? dy[k] : 0;
      }
    }
    store_or_add(call.dx, at.pixel * call.channels + at.channel, at.count, dx);
  });
}

constexpr int kChannels = 32, kPixels = 8;

template <class T>
__global__ void average_pool_forward(AveragePoolForward<T> call) {
  BASIN_SHARED(partials, double[kPixels][kChannels]);
  const int64_t tiles = (call.channels + kChannels - 1) / kChannels;
  const int64_t n = blockIdx.x / tiles, channel = blockIdx.x % tiles * kChannels + threadIdx.x;
  CompensatedSum sum;
  if (channel < call.channels) {
    for (int64_t pixel = threadIdx.y; pixel < call.area; pixel += kPixels) {
      sum.add(to_float(call.x[(n * call.area + pixel) * call.channels + channel]));
    }
  }
  partials[threadIdx.y][threadIdx.x] = sum.value();
  __syncthreads();
  if (threadIdx.y == 0 && channel < call.channels) {
    double total = 0;
    for (int i = 0; i < kPixels; ++i) total += partials[i][threadIdx.x];
    call.y[n * call.channels + channel] =
        from_float<T>(static_cast<float>(total / double(call.area)));
  }
}

template <class T>
__global__ void average_pool_backward(AveragePoolBackward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const float factor = 1.0f / static_cast<float>(call.area);
  const int64_t total = call.batch * call.area * ((call.channels + kCount - 1) / kCount);
  for_each_vector<1>(total, [&](int64_t vector, int) {
    const PixelVector at = pixel_vector<kCount>(vector, call.channels);
    float dy[kCount];
    load(call.dy + at.pixel / call.area * call.channels + at.channel, at.count, dy);
    for (int k = 0; k < kCount; ++k) dy[k] *= factor;
    store_or_add(call.dx, at.pixel * call.channels + at.channel, at.count, dy);
  });
}

template <class T>
void launch_call(const MaxPoolForward<T>& call, StreamHandle stream) {
  const int64_t pixels = call.batch * call.out_height() * call.out_width();
  launch(max_pool_forward<T>, blocks_for(vectors<T>(pixels, call.channels), 1), kThreads, 0, stream,
         call);
}
template <class T>
void launch_call(const MaxPoolBackward<T>& call, StreamHandle stream) {
  const int64_t pixels = call.batch * call.height * call.width;
  launch(max_pool_backward<T>, blocks_for(vectors<T>(pixels, call.channels), 1), kThreads, 0,
         stream, call);
}
template <class T>
void launch_call(const AveragePoolForward<T>& call, StreamHandle stream) {
  const int64_t blocks = call.batch * ((call.channels + kChannels - 1) / kChannels);
  launch(average_pool_forward<T>, static_cast<unsigned>(blocks), dim3(kChannels, kPixels), 0,
         stream, call);
}
template <class T>
void launch_call(const AveragePoolBackward<T>& call, StreamHandle stream) {
  const int64_t pixels = call.batch * call.area;
  launch(average_pool_backward<T>, blocks_for(vectors<T>(pixels, call.channels), 1), kThreads, 0,
         stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(MaxPoolForward<float>)
BASIN_DEFINE_RUN(MaxPoolForward<Bf16>)
BASIN_DEFINE_RUN(MaxPoolBackward<float>)
BASIN_DEFINE_RUN(MaxPoolBackward<Bf16>)
BASIN_DEFINE_RUN(AveragePoolForward<float>)
BASIN_DEFINE_RUN(AveragePoolForward<Bf16>)
BASIN_DEFINE_RUN(AveragePoolBackward<float>)
BASIN_DEFINE_RUN(AveragePoolBackward<Bf16>)

}  // namespace basin
