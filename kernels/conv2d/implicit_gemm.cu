// Convolution as matrix products whose operands are gathered tile by tile, never written out.
//
//   forward:           y[pixel, k] = sum over tap, c of x[under(pixel, tap), c] * w[k, tap, c],
//                      then bias, residual and ReLU, where the call has them
//   backward data:    dx[pixel, c] = sum over tap, k of dy[over(pixel, tap), k] * w[k, tap, c]
//   backward weights: dw[k, tap, c] = sum over pixel of dy[pixel, k] * x[under(pixel, tap), c]
//
// A block of 16 x 16 threads makes a tile of 64 rows x 64 columns of the result, a thread 4 x 4 of
// it. The common dimension is walked 16 numbers at a time, inside one tap: the threads bring both
// operands to shared memory as float, four neighbours each, and then multiply. What lies outside of
// the image or of a tensor is brought as 0. The products of one such step are added in float, the
// steps in a CompensatedSum: the error does not grow with the depth.
//
// Each element of y and dx belongs to one thread. Weights' gradients: a chunk of 2048 pixels goes
// to `partials`, and a second kernel adds the chunks of an element in order, in double.
//
// Reads an operand once for each tile across and each tap (from cache, where it fits), writes the
// result once.
#include "kernels/conv2d/implicit_gemm.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kTile = 64, kDepth = 16, kSide = 16;  // kSide x kSide threads
constexpr int kQuad = 4;                            // neighbours that a thread brings, and makes
static_assert(kTile == kSide * kQuad && kTile * kDepth == kSide * kSide * kQuad);

// Both operands of a step, the common dimension first. Rows are longer than a tile, so that threads
// that write down a column meet fewer of the same banks; four floats stay aligned.
struct Operands {
  float rows[kDepth][kTile + kQuad], columns[kDepth][kTile + kQuad];
};

__device__ int thread_index() {
  return static_cast<int>(threadIdx.y * kSide + threadIdx.x);
}

// The elements of a dimension of `size` from `first` on that a quad holds: 0 to 4.
__device__ int quad_at(int64_t first, int64_t size) {
  const int64_t left = size - first;
  return left <= 0 ? 0 : static_cast<int>(left < kQuad ? left : kQuad);
}

// Where thread `index` stands when the operand is contiguous along the common dimension: one row
// (or column) of the tile, and a quad of the depth.
struct AlongDepth {
  int line, depth;
  __device__ explicit AlongDepth(int index)
      : line(index / (kDepth / kQuad)), depth(index % (kDepth / kQuad) * kQuad) {}
  __device__ void put(float (&tile)[kDepth][kTile + kQuad], const float (&values)[kQuad]) const {
    for (int i = 0; i < kQuad; ++i) tile[depth + i][line] = values[i];
  }
};

// The same when it is contiguous along the rows (or columns) of the tile.
struct AcrossDepth {
  int line, depth;
  __device__ explicit AcrossDepth(int index)
      : line(index % (kTile / kQuad) * kQuad), depth(index / (kTile / kQuad)) {}
  __device__ void put(float (&tile)[kDepth][kTile + kQuad], const float (&values)[kQuad]) const {
    for (int i = 0; i < kQuad; ++i) tile[depth][line + i] = values[i];
  }
};

// A thread's part of the tile of the result.
class Products {
 public:
  // Adds the products of one step. All threads come, before and after a barrier.
  __device__ void add(const Operands& operands) {
    float step[kQuad][kQuad] = {};
    for (int depth = 0; depth < kDepth; ++depth) {
      float row[kQuad], column[kQuad];
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
        row[i] = operands.rows[depth][threadIdx.y * kQuad + i];
        column[i] = operands.columns[depth][threadIdx.x * kQuad + i];
      }
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
#pragma unroll
        for (int j = 0; j < kQuad; ++j) step[i][j] += row[i] * column[j];
      }
    }
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
#pragma unroll
      for (int j = 0; j < kQuad; ++j) sums_[i][j].add(step[i][j]);
    }
  }
  __device__ void row(int i, float (&values)[kQuad]) const {
#pragma unroll
    for (int j = 0; j < kQuad; ++j) values[j] = static_cast<float>(sums_[i][j].value());
  }

 private:
  CompensatedSum sums_[kQuad][kQuad];
};

// A place of an image: of x, or of y.
struct Place {
  int64_t n, h, w;
};

__device__ Place place_of(int64_t pixel, int64_t height, int64_t width) {
  return {pixel / (height * width), pixel / width % height, pixel % width};
}

// The pixel of x under tap (r, t) of the window of `out`; -1: padding.
__device__ int64_t under_tap(const Conv2dShape& s, const Place& out, int64_t r, int64_t t) {
  const int64_t h = out.h * s.stride - s.padding + r, w = out.w * s.stride - s.padding + t;
  if (h < 0 || h >= s.height || w < 0 || w >= s.width) return -1;
  return (out.n * s.height + h) * s.width + w;
}

// The pixel of y whose window has `in` under tap (r, t); -1: there is none.
__device__ int64_t over_tap(const Conv2dShape& s, const Place& in, int64_t r, int64_t t) {
  const int64_t h = in.h + s.padding - r, w = in.w + s.padding - t;
  if (h < 0 || w < 0 || h % s.stride != 0 || w % s.stride != 0) return -1;
  const int64_t p = h / s.stride, q = w / s.stride;
  if (p >= s.out_height() || q >= s.out_width()) return -1;
  return (in.n * s.out_height() + p) * s.out_width() + q;
}

// values = the quad of channels from `channel` on, of the pixel; 0 for a pixel of -1.
template <class T>
__device__ void load_channels(const T* x, int64_t pixel, int64_t channel, int64_t channels,
                              float (&values)[kQuad]) {
  const int count = pixel < 0 ? 0 : quad_at(channel, channels);
  load(count == 0 ? x : x + pixel * channels + channel, count, values);
}

template <class T>
__global__ void forward(Conv2dForward<T> call) {
  BASIN_SHARED(operands, Operands);
  const Conv2dShape& s = call.shape;
  const int64_t pixels = s.batch * s.out_height() * s.out_width();
  const int64_t first_pixel = int64_t{blockIdx.x} * kTile, first_k = int64_t{blockIdx.y} * kTile;
  const AlongDepth mine(thread_index());
  const int64_t pixel = first_pixel + mine.line, k = first_k + mine.line;
  const Place out = place_of(pixel, s.out_height(), s.out_width());
  Products products;
  for (int64_t tap = 0; tap < s.kernel_height * s.kernel_width; ++tap) {
    const int64_t in =
        pixel < pixels ? under_tap(s, out, tap / s.kernel_width, tap % s.kernel_width) : -1;
    const int64_t filter = k < s.out_channels ? k * s.kernel_height * s.kernel_width + tap : -1;
    for (int64_t c = mine.depth; c - mine.depth < s.in_channels; c += kDepth) {
      float values[kQuad];
      load_channels(call.x, in, c, s.in_channels, values);
      mine.put(operands.rows, values);
      load_channels(call.w, filter, c, s.in_channels, values);
      mine.put(operands.columns, values);
      __syncthreads();  // the operands are there
      products.add(operands);
      __syncthreads();  // nobody reads them any more
    }
  }
  const int64_t column = first_k + threadIdx.x * kQuad;
  for (int i = 0; i < kQuad; ++i) {
    const int64_t row = first_pixel + threadIdx.y * kQuad + i;
    float values[kQuad];
    products.row(i, values);
    if (row >= pixels || column >= s.out_channels) continue;
    const int64_t place = row * s.out_channels + column;
    const int count = quad_at(column, s.out_channels);
    if (call.bias) {
      float bias[kQuad], residual[kQuad] = {};
      load(call.bias + column, count, bias);
      if (call.residual) load(call.residual + place, count, residual);
      for (int j = 0; j < kQuad; ++j) {
        values[j] = values[j] + bias[j] + residual[j];
        if (call.relu && !(values[j] > 0)) values[j] = 0;
      }
    }
    store(call.y + place, count, values);
  }
}

template <class T>
__global__ void backward_data(Conv2dBackwardData<T> call) {
  BASIN_SHARED(operands, Operands);
  const Conv2dShape& s = call.shape;
  const int64_t pixels = s.batch * s.height * s.width, taps = s.kernel_height * s.kernel_width;
  const int64_t first_pixel = int64_t{blockIdx.x} * kTile, first_c = int64_t{blockIdx.y} * kTile;
  const AlongDepth of_dy(thread_index());
  const AcrossDepth of_w(thread_index());
  const int64_t pixel = first_pixel + of_dy.line;
  const Place in = place_of(pixel, s.height, s.width);
  Products products;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t out =
        pixel < pixels ? over_tap(s, in, tap / s.kernel_width, tap % s.kernel_width) : -1;
    for (int64_t first_k = 0; first_k < s.out_channels; first_k += kDepth) {
      float values[kQuad];
      load_channels(call.dy, out, first_k + of_dy.depth, s.out_channels, values);
      of_dy.put(operands.rows, values);
      const int64_t k = first_k + of_w.depth;
      load_channels(call.w, k < s.out_channels ? k * taps + tap : -1, first_c + of_w.line,
                    s.in_channels, values);
      of_w.put(operands.columns, values);
      __syncthreads();
      products.add(operands);
      __syncthreads();
    }
  }
  const int64_t column = first_c + threadIdx.x * kQuad;
  for (int i = 0; i < kQuad; ++i) {
    const int64_t row = first_pixel + threadIdx.y * kQuad + i;
    float values[kQuad];
    products.row(i, values);
    if (row >= pixels || column >= s.in_channels) continue;
    store_or_add(call.dx + row * s.in_channels + column, quad_at(column, s.in_channels), values,
                 call.accumulate);
  }
}

int64_t tiles(int64_t size) {
  return (size + kTile - 1) / kTile;
}

// Blocks: chunk of pixels; tile of output channels; tap and tile of input channels.
template <class T>
__global__ void backward_weights(ImplicitGemm<Conv2dBackwardWeights<T>> gemm) {
  BASIN_SHARED(operands, Operands);
  const Conv2dBackwardWeights<T>& call = gemm.call;
  const Conv2dShape& s = call.shape;
  const int64_t taps = s.kernel_height * s.kernel_width, tap = blockIdx.z % taps;
  const int64_t first_k = int64_t{blockIdx.y} * kTile, first_c = blockIdx.z / taps * kTile;
  const int64_t begin = int64_t{blockIdx.x} * gemm.kChunk;
  const int64_t end = min(begin + gemm.kChunk, gemm.pixels());
  const AcrossDepth mine(thread_index());
  Products products;
  for (int64_t first = begin; first < end; first += kDepth) {
    const int64_t pixel = first + mine.depth < end ? first + mine.depth : -1;
    const Place out = place_of(pixel, s.out_height(), s.out_width());
    const int64_t in =
        pixel < 0 ? -1 : under_tap(s, out, tap / s.kernel_width, tap % s.kernel_width);
    float values[kQuad];
    load_channels(call.dy, pixel, first_k + mine.line, s.out_channels, values);
    mine.put(operands.rows, values);
    load_channels(call.x, in, first_c + mine.line, s.in_channels, values);
    mine.put(operands.columns, values);
    __syncthreads();
    products.add(operands);
    __syncthreads();
  }
  const int64_t column = first_c + threadIdx.x * kQuad;
  float* partials = static_cast<float*>(call.workspace) + blockIdx.x * s.w_size();
  for (int i = 0; i < kQuad; ++i) {
    const int64_t row = first_k + threadIdx.y * kQuad + i;
    float values[kQuad];
    products.row(i, values);
    if (row >= s.out_channels || column >= s.in_channels) continue;
    store(partials + (row * taps + tap) * s.in_channels + column, quad_at(column, s.in_channels),
          values);
  }
}

template <class T>
__global__ void add_chunks(ImplicitGemm<Conv2dBackwardWeights<T>> gemm) {
  const Conv2dBackwardWeights<T>& call = gemm.call;
  const float* partials = static_cast<const float*>(call.workspace);
  const int64_t size = call.shape.w_size(), chunks = gemm.chunks();
  for_each_vector<1>(size, [&](int64_t i, int) {
    double sum = call.accumulate ? call.dw[i] : 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partials[chunk * size + i];
    call.dw[i] = static_cast<float>(sum);
  });
}

unsigned count(int64_t blocks) {
  return static_cast<unsigned>(blocks);
}

template <class T>
void launch_call(const ImplicitGemm<Conv2dForward<T>>& gemm, StreamHandle stream) {
  const Conv2dShape& s = gemm.call.shape;
  const int64_t pixels = s.batch * s.out_height() * s.out_width();
  launch(forward<T>, dim3(count(tiles(pixels)), count(tiles(s.out_channels))), dim3(kSide, kSide),
         0, stream, gemm.call);
}

template <class T>
void launch_call(const ImplicitGemm<Conv2dBackwardData<T>>& gemm, StreamHandle stream) {
  const Conv2dShape& s = gemm.call.shape;
  const int64_t pixels = s.batch * s.height * s.width;
  launch(backward_data<T>, dim3(count(tiles(pixels)), count(tiles(s.in_channels))),
         dim3(kSide, kSide), 0, stream, gemm.call);
}

template <class T>
void launch_call(const ImplicitGemm<Conv2dBackwardWeights<T>>& gemm, StreamHandle stream) {
  const Conv2dShape& s = gemm.call.shape;
  const int64_t taps = s.kernel_height * s.kernel_width;
  const dim3 grid(count(gemm.chunks()), count(tiles(s.out_channels)),
                  count(taps * tiles(s.in_channels)));
  launch(backward_weights<T>, grid, dim3(kSide, kSide), 0, stream, gemm);
  launch(add_chunks<T>, blocks_for(s.w_size(), 1), kThreads, 0, stream, gemm);
}

}  // namespace

BASIN_DEFINE_RUN(ImplicitGemm<Conv2dForward<float>>)
BASIN_DEFINE_RUN(ImplicitGemm<Conv2dForward<Bf16>>)
BASIN_DEFINE_RUN(ImplicitGemm<Conv2dBackwardData<float>>)
BASIN_DEFINE_RUN(ImplicitGemm<Conv2dBackwardData<Bf16>>)
BASIN_DEFINE_RUN(ImplicitGemm<Conv2dBackwardWeights<float>>)
BASIN_DEFINE_RUN(ImplicitGemm<Conv2dBackwardWeights<Bf16>>)

}  // namespace basin
