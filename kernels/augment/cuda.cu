// Batches from bytes as CUDA kernels: y = mixup of shuffled, normalised windows of stored images
// (kernels/augment/call.h has the formula). Bytes RGB in, NHWC out.
//
// Images: a block makes tiles of 256 neighbouring pixels of a row of the batch, a thread one pixel
// of each. The thread computes its three values from the bytes they come from, resizing on the way
// where the view says so; the values pass through shared memory, so that the block writes whole
// vectors of 16 bytes. The 3 * 256 values a byte can become are computed once a block, with the
// CPU's three roundings. All sums of a resize are integers, and no value is written by two threads:
// nothing depends on order. Reads the boxes of the views (of the partners, too), from cache where
// windows overlap; writes y once. A resize by the scale s takes (2 max(s, 1) + 1)^2 bytes a value
// at most, most of them from the L1 cache.
//
// Targets: a thread an element. Writes the targets once.
#include "kernels/augment/call.h"

#include "kernels/library/vector.h"

namespace basin {
namespace {

struct Rgb {
  uint8_t values[3];
};

// Pixel (y, x) of the resized box.
template <class T>
__device__ Rgb resized_pixel(const Augment<T>& call, const ImageView& view, int y, int x) {
  const uint8_t* box = call.pixels + view.offset;
  Rgb pixel;
  if (view.box_height == view.resized_height && view.box_width == view.resized_width) {
    const uint8_t* at = box + int64_t{y} * view.pitch + int64_t{x} * 3;
    for (int c = 0; c < 3; ++c) pixel.values[c] = at[c];
    return pixel;
  }
  const ResizeTap row = call.taps[view.row_taps + y];
  const ResizeTap column = call.taps[view.column_taps + x];
  int32_t sums[3] = {kResizeHalf, kResizeHalf, kResizeHalf};
  for (int i = 0; i < row.count; ++i) {
    const uint8_t* at = box + int64_t{row.first + i} * view.pitch + int64_t{column.first} * 3;
    int32_t across[3] = {kResizeHalf, kResizeHalf, kResizeHalf};
    for (int j = 0; j < column.count; ++j) {
      const int32_t weight = call.weights[column.weight + j];
      for (int c = 0; c < 3; ++c) across[c] += weight * at[3 * j + c];
    }
    const int32_t weight = call.weights[row.weight + i];
    for (int c = 0; c < 3; ++c) sums[c] += weight * resized_byte(across[c]);
  }
  for (int c = 0; c < 3; ++c) pixel.values[c] = resized_byte(sums[c]);
  return pixel;
}

__device__ int clamp_to(int value, int size) {
  return value < 0 ? 0 : (value < size ? value : size - 1);
}

// The bytes that row n shows at pixel `at` of its image; false: there is no image.
template <class T>
__device__ bool shown_pixel(const Augment<T>& call, int64_t n, unsigned at, Rgb& pixel) {
  const auto width = static_cast<unsigned>(call.width);
  if (!call.views) {
    const uint8_t* from = call.pixels + (n * call.height * call.width + at) * 3;
    for (int c = 0; c < 3; ++c) pixel.values[c] = from[c];
    return true;
  }
  const ImageView view = call.views[n];
  if (view.offset < 0) return false;
  const auto y = static_cast<int>(at / width), x = static_cast<int>(at % width);
  const int in_window = view.flip ? static_cast<int>(width) - 1 - x : x;
  pixel = resized_pixel(call, view, clamp_to(view.top + y, view.resized_height),
                        clamp_to(view.left + in_window, view.resized_width));
  return true;
}

using Levels = float[3][256];

// The three values of pixel `at` in row n, before mixup; 0 where there is no image.
template <class T>
__device__ bool pixel_values(const Augment<T>& call, const Levels& levels, int64_t n, unsigned at,
                             float (&values)[3]) {
  Rgb pixel{};
  if (!call.map) {
    const bool present = shown_pixel(call, n, at, pixel);
    for (int c = 0; c < 3; ++c) values[c] = present ? levels[c][pixel.values[c]] : 0;
    return present;
  }
  bool present = true;
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    const uint32_t from = call.map[3 * at + c];
    const int channel = static_cast<int>(from % 3);
    present = shown_pixel(call, n, from / 3, pixel);
    // An index known only here would put the pixel into local memory.
    const uint8_t value =
        channel == 0 ? pixel.values[0] : (channel == 1 ? pixel.values[1] : pixel.values[2]);
    values[c] = present ? levels[channel][value] : 0;
  }
  return present;
}

template <class T>
__global__ void augment(Augment<T> call) {
  constexpr int kCount = kVectorSize<T>;
  BASIN_SHARED(levels, float[3][256]);
  BASIN_SHARED(staged, float[3 * kThreads]);
  static_assert(kThreads == 256, "a thread for each value of a byte");
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    levels[c][threadIdx.x] =
        (static_cast<float>(threadIdx.x) / 255.0f - call.mean[c]) / call.stddev[c];
  }
  __syncthreads();
  const float share = call.partners ? *call.share : 1.0f;
  const auto area = static_cast<unsigned>(call.height * call.width);
  for (int64_t n = blockIdx.y; n < call.batch; n += gridDim.y) {
    for (unsigned first = blockIdx.x * kThreads; first < area; first += gridDim.x * kThreads) {
      const unsigned at = first + threadIdx.x;
      if (at < area) {
        float values[3];
        if (pixel_values(call, levels, n, at, values) && call.partners) {
          float others[3];
          pixel_values(call, levels, call.partners[n], at, others);
          for (int c = 0; c < 3; ++c) {
            values[c] = share * values[c] + (1.0f - share) * others[c];
          }
        }
        for (int c = 0; c < 3; ++c) staged[3 * threadIdx.x + c] = values[c];
      }
      __syncthreads();
      const auto count = static_cast<int>(3 * (area - first < kThreads ? area - first : kThreads));
      const int begin = threadIdx.x * kCount;
      if (begin < count) {
        float values[kCount];
        for (int k = 0; k < kCount; ++k) values[k] = begin + k < count ? staged[begin + k] : 0;
        store(call.y + (n * area + first) * 3 + begin, min(count - begin, kCount), values);
      }
      __syncthreads();
    }
  }
}

__device__ float target_of(const MixTargets& call, int64_t n, int64_t c) {
  const int64_t index = call.indices[n];
  if (index < 0) return 0;
  if (call.labels) return call.labels[index] == c;
  return call.label_rows[index * call.classes + c];
}

__global__ void mix_targets(MixTargets call) {
  for_each_vector<1>(call.batch * call.classes, [&](int64_t i, int) {
    const int64_t n = i / call.classes, c = i % call.classes;
    float value = target_of(call, n, c);
    if (call.partners && call.indices[n] >= 0) {
      value = *call.share * value + (1.0f - *call.share) * target_of(call, call.partners[n], c);
    }
    call.targets[i] = value;
  });
}

// A block makes two tiles at least, for the sake of its levels, and more where there would be more
// than 4096 blocks.
template <class T>
void launch_call(const Augment<T>& call, StreamHandle stream) {
  const int64_t area = call.height * call.width;
  BASIN_CHECK(area < int64_t{1} << 30, "an image of ", call.height, "x", call.width,
              " pixels; the augmentation kernel takes less than 2^30");
  const int64_t pairs = (area + 2 * kThreads - 1) / (2 * kThreads);
  const int64_t most = (4096 + call.batch - 1) / call.batch;
  const dim3 grid(static_cast<unsigned>(pairs < most ? pairs : most),
                  static_cast<unsigned>(call.batch < 65535 ? call.batch : 65535));
  launch(augment<T>, grid, kThreads, 0, stream, call);
}

void launch_call(const MixTargets& call, StreamHandle stream) {
  launch(mix_targets, blocks_for(call.batch * call.classes, 1), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(Augment<float>)
BASIN_DEFINE_RUN(Augment<Bf16>)
BASIN_DEFINE_RUN(MixTargets)

}  // namespace basin
