// Batches from bytes as CUDA kernels: y = mixup of shuffled, normalised windows of stored images
// (kernels/augment/call.h has the formula). Bytes RGB in, NHWC out.
//
// Images: a block makes tiles of 256 neighbouring pixels of a row of the batch, a thread one pixel
// of each. The thread looks up its three values; they pass through shared memory, so that the block
// writes whole vectors of 16 bytes. Each block computes the 3 * 256 values that a byte can become,
// with the CPU's three roundings. No value is written by two threads: nothing depends on order.
// Reads the images shown (with mixup those of the partners, too), writes y once.
//
// Targets: a thread an element. Writes the targets once.
#include "kernels/augment/call.h"

#include "kernels/library/vector.h"

namespace basin {
namespace {

struct Rgb {
  uint8_t values[3];
};

__device__ int clamp_to(int value, int size) {
  return value < 0 ? 0 : (value < size ? value : size - 1);
}

// The bytes that row n shows at pixel `at` of its image.
template <class T>
__device__ Rgb shown_pixel(const Augment<T>& call, int64_t n, unsigned at) {
  int64_t image = n;
  if (call.views) {
    const ImageView view = call.views[n];
    const auto height = static_cast<int>(call.height), width = static_cast<int>(call.width);
    const int y = static_cast<int>(at) / width, x = static_cast<int>(at) % width;
    const int moved_x = view.flip ? width - 1 - x : x;
    at = clamp_to(y - view.down, height) * width + clamp_to(moved_x - view.right, width);
    image = view.image;
  }
  const uint8_t* from = call.pixels + (image * call.height * call.width + at) * 3;
  return {{from[0], from[1], from[2]}};
}

using Levels = float[3][256];

// The three values of pixel `at` in row n, before mixup.
template <class T>
__device__ void pixel_values(const Augment<T>& call, const Levels& levels, int64_t n, unsigned at,
                             float (&values)[3]) {
  if (!call.map) {
    const Rgb pixel = shown_pixel(call, n, at);
    for (int c = 0; c < 3; ++c) values[c] = levels[c][pixel.values[c]];
    return;
  }
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    const uint32_t from = call.map[3 * at + c];
    const int channel = static_cast<int>(from % 3);
    const Rgb pixel = shown_pixel(call, n, from / 3);
    // An index known only here would put the pixel into local memory.
    const uint8_t value =
        channel == 0 ? pixel.values[0] : (channel == 1 ? pixel.values[1] : pixel.values[2]);
    values[c] = levels[channel][value];
  }
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
        pixel_values(call, levels, n, at, values);
        if (call.partners) {
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
  if (call.labels) return call.labels[n] == c;
  return call.label_rows[n * call.classes + c];
}

__global__ void mix_targets(MixTargets call) {
  for_each_vector<1>(call.batch * call.classes, [&](int64_t i, int) {
    const int64_t n = i / call.classes, c = i % call.classes;
    float value = target_of(call, n, c);
    if (call.partners) {
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
