// Winograd convolution F(4x4, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks" (CVPR 2016), with interpolation points 0, +-sqrt(1/2), +-sqrt(2), infinity:
//   y = A' [(G g G') . (B' d B)] A over tiles of 4x4 outputs and 6x6 inputs, where the elementwise
// product, summed over channels, is 36 matrix products [tiles, in] x [in, out]. Backward-data is
// the same with the kernel flipped and transposed; the transpose of the formula gives
//   dg = G' [sum over tiles of (B' d B) . (A dy A')] G.
// Every sum has an order fixed by the shape, whatever the number of threads.
#include "kernels/conv2d/winograd.h"

#include "kernels/device/declarations.h"
#include "kernels/elementwise/call.h"
#include "kernels/library/micro_kernel.h"
#include "kernels/library/workspace.h"

namespace basin::cpu {
namespace {

constexpr int64_t kTile = 4, kPoints = 6, kComponents = kPoints * kPoints;
constexpr int64_t kDepthBlock = 128;  // channels summed at a time: short sums are exacter
constexpr int64_t kPad = 16;          // keeps rows that are read together out of one cache set

// The finite points are 0, a, -a, b, -b; this choice keeps the rounding error low.
constexpr double kA = 0.70710678118654752440, kB = 1.41421356237309504880;
constexpr double kA2 = 0.5, kB2 = 2, kA3 = kA2 * kA, kB3 = kB2 * kB;
// For each point the product of its differences from the other finite points.
constexpr double kNormZero = kA2 * kB2;
constexpr double kNormA = 2 * kA2 * (kA2 - kB2), kNormB = 2 * kB2 * (kB2 - kA2);

constexpr float f(double value) {
  return static_cast<float>(value);
}

// The one-dimensional transforms; each is applied to the columns, then to the rows of a tile.
struct InputTransform {  // B'
  static constexpr int kFrom = 6, kTo = 6;
  static void apply(const FloatVector* d, FloatVector* out) {
    const FloatVector even = d[4] - f(kB2) * d[2], odd = f(kA) * (d[3] - f(kB2) * d[1]);
    const FloatVector even2 = d[4] - f(kA2) * d[2], odd2 = f(kB) * (d[3] - f(kA2) * d[1]);
    out[0] = f(kA2 * kB2) * d[0] - f(kA2 + kB2) * d[2] + d[4];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = even2 + odd2;
    out[4] = even2 - odd2;
    out[5] = f(kA2 * kB2) * d[1] - f(kA2 + kB2) * d[3] + d[5];
  }
};
struct OutputTransform {  // A'
  static constexpr int kFrom = 6, kTo = 4;
  static void apply(const FloatVector* m, FloatVector* out) {
    const FloatVector sum = m[1] + m[2], difference = m[1] - m[2];
    const FloatVector sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    out[0] = m[0] + sum + sum2;
    out[1] = f(kA) * difference + f(kB) * difference2;
    out[2] = f(kA2) * sum + f(kB2) * sum2;
    out[3] = f(kA3) * difference + f(kB3) * difference2 + m[5];
  }
};
struct OutputGradientTransform {  // A
  static constexpr int kFrom = 4, kTo = 6;
  static void apply(const FloatVector* y, FloatVector* out) {
    const FloatVector even = y[0] + f(kA2) * y[2], odd = f(kA) * y[1] + f(kA3) * y[3];
    const FloatVector even2 = y[0] + f(kB2) * y[2], odd2 = f(kB) * y[1] + f(kB3) * y[3];
    out[0] = y[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = even2 + odd2;
    out[4] = even2 - odd2;
    out[5] = y[3];
  }
};
struct WeightTransform {  // G
  static constexpr int kFrom = 3, kTo = 6;
  static void apply(const FloatVector* g, FloatVector* out) {
    const FloatVector even = f(1 / kNormA) * g[0] + f(kA2 / kNormA) * g[2];
    const FloatVector even2 = f(1 / kNormB) * g[0] + f(kB2 / kNormB) * g[2];
    const FloatVector odd = f(kA / kNormA) * g[1], odd2 = f(kB / kNormB) * g[1];
    out[0] = f(1 / kNormZero) * g[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = even2 + odd2;
    out[4] = even2 - odd2;
    out[5] = g[2];
  }
};
struct WeightGradientTransform {  // G'
  static constexpr int kFrom = 6, kTo = 3;
  static void apply(const FloatVector* m, FloatVector* out) {
    const FloatVector sum = m[1] + m[2], difference = m[1] - m[2];
    const FloatVector sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    out[0] = f(1 / kNormZero) * m[0] + f(1 / kNormA) * sum + f(1 / kNormB) * sum2;
    out[1] = f(kA / kNormA) * difference + f(kB / kNormB) * difference2;
    out[2] = f(kA2 / kNormA) * sum + f(kB2 / kNormB) * sum2 + m[5];
  }
};

// Both dimensions of a transform: in(row, column) gives a vector of the tile, out(row, column,
// vector) takes one of the result.
template <class Transform, class In, class Out>
inline void transform_tile(const In& in, const Out& out) {
  constexpr int kFrom = Transform::kFrom, kTo = Transform::kTo;
  FloatVector half[kTo][kFrom];
#pragma GCC unroll 6
  for (int x = 0; x < kFrom; ++x) {
    FloatVector from[kFrom], to[kTo];
#pragma GCC unroll 6
    for (int y = 0; y < kFrom; ++y) from[y] = in(y, x);
    Transform::apply(from, to);
#pragma GCC unroll 6
    for (int y = 0; y < kTo; ++y) half[y][x] = to[y];
  }
#pragma GCC unroll 6
  for (int y = 0; y < kTo; ++y) {
    FloatVector to[kTo];
    Transform::apply(half[y], to);
#pragma GCC unroll 6
    for (int x = 0; x < kTo; ++x) out(y, x, to[x]);
  }
}

// The tiles of an image: tile (n, ty, tx) begins at pixel (ty * kTile - padding, tx * kTile -
// padding).
struct Tiles {
  int64_t batch, height, width, channels, padding;
  int64_t tiles_y, tiles_x;
  int64_t count() const { return batch * tiles_y * tiles_x; }
  struct Place {
    int64_t image, y, x;
  };
  Place place(int64_t tile) const {
    return {tile / (tiles_y * tiles_x), tile / tiles_x % tiles_y * kTile - padding,
            tile % tiles_x * kTile - padding};
  }
};

int64_t tiles_of(int64_t size) {
  return (size + kTile - 1) / kTile;
}

// Transforms tile `tile` of `image`, for all channels; out(component, channel, vector) stores.
template <class Transform, class Out>
void transform_from_image(const Tiles& tiles, const float* image, int64_t tile, const Out& out) {
  constexpr int kFrom = Transform::kFrom;
  const auto [n, y0, x0] = tiles.place(tile);
  const bool inside = y0 >= 0 && x0 >= 0 && y0 + kFrom <= tiles.height && x0 + kFrom <= tiles.width;
  const int64_t step_x = tiles.channels, step_y = tiles.width * tiles.channels;
  const float* base = image + n * tiles.height * step_y + y0 * step_y + x0 * step_x;
  const auto store_at = [&](int64_t c) {
    return [out, c](int y, int x, FloatVector value) { out(y * kPoints + x, c, value); };
  };
  if (inside) {
    for (int64_t c = 0; c < tiles.channels; c += kVectorWidth) {
      transform_tile<Transform>(
          [&](int y, int x) { return load(base + y * step_y + x * step_x + c); }, store_at(c));
    }
    return;
  }
  // Pixels outside the image read the same zeros for all channels.
  alignas(64) static constexpr float kZeros[kVectorWidth] = {};
  const float* pixel[kFrom][kFrom];
  int64_t mask[kFrom][kFrom];
  for (int y = 0; y < kFrom; ++y) {
    for (int x = 0; x < kFrom; ++x) {
      const bool valid =
          y0 + y >= 0 && y0 + y < tiles.height && x0 + x >= 0 && x0 + x < tiles.width;
      pixel[y][x] = valid ? base + y * step_y + x * step_x : kZeros;
      mask[y][x] = valid ? -1 : 0;
    }
  }
  for (int64_t c = 0; c < tiles.channels; c += kVectorWidth) {
    transform_tile<Transform>([&](int y, int x) { return load(pixel[y][x] + (c & mask[y][x])); },
                              store_at(c));
  }
}

// Transforms products[component * pitch + channel] into tile `tile` of channels `first` to `end` of
// `image`; finish(vector, place in the image, channel) gives what is stored.
template <class Finish>
void transform_to_image(const Tiles& tiles, const float* products, int64_t pitch, int64_t tile,
                        int64_t first, int64_t end, const Finish& finish, float* image) {
  const auto [n, y0, x0] = tiles.place(tile);
  const int64_t rows = std::min(kTile, tiles.height - y0);
  const int64_t columns = std::min(kTile, tiles.width - x0);
  const int64_t step_x = tiles.channels, step_y = tiles.width * tiles.channels;
  const int64_t base = n * tiles.height * step_y + y0 * step_y + x0 * step_x;
  for (int64_t c = first; c < end; c += kVectorWidth) {
    transform_tile<OutputTransform>(
        [&](int y, int x) { return load(products + (y * kPoints + x) * pitch + c - first); },
        [&](int y, int x, FloatVector value) {
          if (y >= rows || x >= columns) return;
          const int64_t place = base + y * step_y + x * step_x + c;
          store(image + place, finish(value, place, c));
        });
  }
}

// A convolution y = conv(x, g) by tiles: forward, or backward-data with x = dy and y = dx. With few
// channels all weights are transformed first, and each thread takes a chunk of tiles from image to
// image. With many, the transformed weights would not stay in any cache: all tiles of a large chunk
// are transformed first, and each thread takes a panel of output channels, from its weights to the
// image.
struct Layout {
  Tiles in, out;
  bool by_panel;
  int64_t chunk;                                     // tiles computed together
  int64_t in_pitch, weights_pitch, out_pitch;        // of a component in the buffers
  int64_t weights_slot, inputs_slot, products_slot;  // floats for each thread; 0: one for all
  float *weights, *inputs, *products;  // [36][panels], [36][chunk][in], [36][chunk][out or panel]
};

constexpr int64_t kMostRows = 264;  // rows multiplied at a time
static_assert(kMostRows % kBlockRows == 0);

Layout make_layout(const Conv2dShape& s, bool backward, WorkspaceCutter& cut) {
  Layout layout;
  const int64_t height = backward ? s.height : s.out_height();
  const int64_t width = backward ? s.width : s.out_width();
  const int64_t tiles_y = tiles_of(height), tiles_x = tiles_of(width);
  const int64_t in = backward ? s.out_channels : s.in_channels;
  const int64_t out = backward ? s.in_channels : s.out_channels;
  layout.out = {s.batch, height, width, out, 0, tiles_y, tiles_x};
  layout.in = {s.batch, backward ? s.out_height() : s.height, backward ? s.out_width() : s.width,
               in,      backward ? 2 - s.padding : s.padding, tiles_y,
               tiles_x};
  const int64_t count = layout.out.count();
  layout.by_panel = in * out >= 256 * 256;
  if (layout.by_panel) {
    constexpr int64_t kInputFloats = 2500000;  // 10 MB, in the third-level cache
    layout.chunk = std::clamp<int64_t>(kInputFloats / (kComponents * in), 48, kMostRows);
    layout.chunk = std::min(layout.chunk / kBlockRows * kBlockRows, count);
  } else {
    // Many enough to reuse the weights, few enough for the second-level cache.
    const int64_t share = (count + 3) / 4;
    layout.chunk = std::min<int64_t>(24, (share + kBlockRows - 1) / kBlockRows * kBlockRows);
  }
  layout.in_pitch = layout.chunk * in + kPad;
  layout.weights_pitch = in * (layout.by_panel ? kPanelWidth : packed_columns(out));
  layout.out_pitch = layout.chunk * (layout.by_panel ? kPanelWidth : out) + kPad;
  layout.weights_slot = layout.by_panel ? kComponents * layout.weights_pitch : 0;
  layout.inputs_slot = layout.by_panel ? 0 : kComponents * layout.in_pitch;
  layout.products_slot = kComponents * layout.out_pitch;
  const int64_t slots = threads();
  layout.weights = cut.floats(kComponents * layout.weights_pitch * (layout.by_panel ? slots : 1));
  layout.inputs = cut.floats(kComponents * layout.in_pitch * (layout.by_panel ? 1 : slots));
  layout.products = cut.floats(layout.products_slot * slots);
  return layout;
}

// Transforms tile `tile` of x into place `i` of the buffer.
void transform_input(const Layout& layout, const float* x, int64_t tile, int64_t i, float* inputs) {
  const int64_t pitch = layout.in_pitch;
  float* to = inputs + i * layout.in.channels;
  transform_from_image<InputTransform>(layout.in, x, tile,
                                       [to, pitch](int component, int64_t c, FloatVector value) {
                                         store(to + component * pitch + c, value);
                                       });
}

// products[component][i][0..columns) = inputs[component][i] * weights[component]
void multiply_components(const Layout& layout, int64_t count, const float* inputs,
                         const float* weights, int64_t columns, float* products) {
  const int64_t in = layout.in.channels;
  for (int64_t component = 0; component < kComponents; ++component) {
    const float* rows[kMostRows];
    float* to[kMostRows];
    for (int64_t i = 0; i < count; ++i) {
      rows[i] = inputs + component * layout.in_pitch + i * in;
      to[i] = products + component * layout.out_pitch + i * columns;
    }
    for (int64_t k = 0; k < in; k += kDepthBlock) {
      multiply_panels<false>(count, {rows, k, std::min(kDepthBlock, in - k), 1, 0},
                             weights + component * layout.weights_pitch, in, k, columns, to, k > 0);
    }
  }
}

// transform_panel(first, end, to) transforms the weights of output channels first to end into the
// panel at `to`, components weights_pitch apart.
template <class TransformPanel, class Finish>
void convolve(const Layout& layout, const float* x, const TransformPanel& transform_panel, float* y,
              const Finish& finish) {
  const int64_t in = layout.in.channels, out = layout.out.channels;
  const int64_t chunks = (layout.out.count() + layout.chunk - 1) / layout.chunk;
  const auto tiles_in = [&](int64_t chunk) {
    return std::min(layout.chunk, layout.out.count() - chunk * layout.chunk);
  };
  if (layout.by_panel) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t first_tile = chunk * layout.chunk, count = tiles_in(chunk);
      parallel_chunks(count, 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          transform_input(layout, x, first_tile + i, i, layout.inputs);
        }
      });
      parallel_slots((out + kPanelWidth - 1) / kPanelWidth, [&](int64_t slot, int64_t panel) {
        const int64_t first = panel * kPanelWidth, end = std::min(out, first + kPanelWidth);
        float* weights = layout.weights + slot * layout.weights_slot;
        float* products = layout.products + slot * layout.products_slot;
        transform_panel(first, end, weights);
        multiply_components(layout, count, layout.inputs, weights, end - first, products);
        for (int64_t i = 0; i < count; ++i) {
          transform_to_image(layout.out, products + i * (end - first), layout.out_pitch,
                             first_tile + i, first, end, finish, y);
        }
      });
    }
    return;
  }
  parallel_chunks(out, kPanelWidth, [&](int64_t first, int64_t end) {
    transform_panel(first, end, layout.weights + first * in);
  });
  parallel_slots(chunks, [&](int64_t slot, int64_t chunk) {
    const int64_t first_tile = chunk * layout.chunk, count = tiles_in(chunk);
    float* inputs = layout.inputs + slot * layout.inputs_slot;
    float* products = layout.products + slot * layout.products_slot;
    for (int64_t i = 0; i < count; ++i) transform_input(layout, x, first_tile + i, i, inputs);
    multiply_components(layout, count, inputs, layout.weights, out, products);
    for (int64_t i = 0; i < count; ++i) {
      transform_to_image(layout.out, products + i * out, layout.out_pitch, first_tile + i, 0, out,
                         finish, y);
    }
  });
}

// The gradient for the weights, in chunks of tiles: transform x and dy, then add the 36 products to
// the sums [36][out][in].
struct WeightsLayout {
  Tiles in, out;
  int64_t chunk, in_pitch, out_pitch;
  float *inputs, *gradients, *sums;  // [36][panels of chunk rows], [36][chunk][out + kPad]
};

WeightsLayout make_weights_layout(const Conv2dShape& s, WorkspaceCutter& cut) {
  WeightsLayout layout;
  const int64_t tiles_y = tiles_of(s.out_height()), tiles_x = tiles_of(s.out_width());
  layout.in = {s.batch, s.height, s.width, s.in_channels, s.padding, tiles_y, tiles_x};
  layout.out = {s.batch, s.out_height(), s.out_width(), s.out_channels, 0, tiles_y, tiles_x};
  constexpr int64_t kBufferFloats = int64_t{1} << 20;  // 4 MiB, in the third-level cache
  layout.chunk = kBufferFloats / (kComponents * (s.in_channels + s.out_channels + kPad));
  layout.chunk = std::min(std::clamp<int64_t>(layout.chunk, 32, 256), layout.in.count());
  layout.in_pitch = layout.chunk * packed_columns(s.in_channels) + kPad;
  layout.out_pitch = layout.chunk * (s.out_channels + kPad);
  layout.inputs = cut.floats(kComponents * layout.in_pitch);
  layout.gradients = cut.floats(kComponents * layout.out_pitch);
  layout.sums = cut.floats(kComponents * s.in_channels * s.out_channels);
  return layout;
}

}  // namespace

bool winograd_suits(const Conv2dShape& s) {
  const int64_t tiles = tiles_of(s.out_height()) * tiles_of(s.out_width());
  return s.kernel_height == 3 && s.kernel_width == 3 && s.stride == 1 && s.padding <= 2 &&
         s.in_channels % 16 == 0 && s.out_channels % 16 == 0 &&  // whole vectors on any machine
         s.out_height() * s.out_width() >= 10 * tiles &&         // tiles are well filled
         s.batch * tiles >= 16;  // enough of them to be worth transforming the weights
}

int64_t winograd_workspace_bytes(const Conv2dForward<float>& call) {
  WorkspaceCutter cut(nullptr);
  make_layout(call.shape, false, cut);
  return cut.bytes();
}

int64_t winograd_workspace_bytes(const Conv2dBackwardData<float>& call) {
  WorkspaceCutter cut(nullptr);
  make_layout(call.shape, true, cut);
  return cut.bytes();
}

int64_t winograd_workspace_bytes(const Conv2dBackwardWeights<float>& call) {
  WorkspaceCutter cut(nullptr);
  make_weights_layout(call.shape, cut);
  return cut.bytes();
}

void run_winograd(const Conv2dForward<float>& call) {
  WorkspaceCutter cut(call.workspace);
  const Layout layout = make_layout(call.shape, false, cut);
  const int64_t in = call.shape.in_channels;
  const auto transform_panel = [&](int64_t first, int64_t end, float* panel) {
    const int64_t width = panel_width(end - first);
    FloatVector squares[kComponents][kVectorWidth];
    for (int64_t k0 = first; k0 < end; k0 += kVectorWidth) {
      for (int64_t c = 0; c < in; c += kVectorWidth) {
        for (int i = 0; i < kVectorWidth; ++i) {
          const float* w = call.w + (k0 + i) * 9 * in + c;
          transform_tile<WeightTransform>(
              [w, in](int y, int x) { return load(w + (y * 3 + x) * in); },
              [&](int y, int x, FloatVector value) { squares[y * kPoints + x][i] = value; });
        }
        for (int64_t component = 0; component < kComponents; ++component) {
          transpose_square(squares[component]);
          float* to = panel + component * layout.weights_pitch + c * width + (k0 - first);
          for (int i = 0; i < kVectorWidth; ++i) store(to + i * width, squares[component][i]);
        }
      }
    }
  };
  if (!call.bias || call.residual) {
    convolve(layout, call.x, transform_panel, call.y,
             [](FloatVector value, int64_t, int64_t) { return value; });
    // In order over the image: a residual read tile by tile, between stores, costs more.
    const int64_t channels = call.shape.out_channels, pixels = call.shape.y_size() / channels;
    if (call.bias) {
      run(AddBias<float>{call.y, call.bias, call.y, pixels, channels, call.residual, call.relu});
    }
    return;
  }
  convolve(layout, call.x, transform_panel, call.y,
           [bias = call.bias, relu = call.relu](FloatVector value, int64_t, int64_t channel) {
             value += load(bias + channel);
             return relu ? (value > 0 ? value : FloatVector{}) : value;
           });
}

void run_winograd(const Conv2dBackwardData<float>& call) {
  WorkspaceCutter cut(call.workspace);
  const Layout layout = make_layout(call.shape, true, cut);
  const int64_t in = call.shape.in_channels, out = call.shape.out_channels;
  const auto transform_panel = [&](int64_t first, int64_t end, float* panel) {
    const int64_t width = panel_width(end - first), pitch = layout.weights_pitch;
    for (int64_t k = 0; k < out; ++k) {
      for (int64_t c = first; c < end; c += kVectorWidth) {
        const float* w = call.w + k * 9 * in + c;
        float* to = panel + k * width + (c - first);
        transform_tile<WeightTransform>(
            [w, in](int y, int x) { return load(w + ((2 - y) * 3 + 2 - x) * in); },
            [to, pitch](int y, int x, FloatVector value) {
              store(to + (y * kPoints + x) * pitch, value);
            });
      }
    }
  };
  const auto finish = [&call](FloatVector value, int64_t place, int64_t) {
    return call.dx.accumulate ? load(call.dx.to + place) + value : value;
  };
  convolve(layout, call.dy, transform_panel, call.dx.to, finish);
}

void run_winograd(const Conv2dBackwardWeights<float>& call) {
  WorkspaceCutter cut(call.workspace);
  const WeightsLayout layout = make_weights_layout(call.shape, cut);
  const int64_t in = call.shape.in_channels, out = call.shape.out_channels;
  constexpr int64_t kRowBlock = 96;
  static_assert(kRowBlock % kBlockRows == 0);
  const int64_t row_blocks = (out + kRowBlock - 1) / kRowBlock;
  for (int64_t first = 0; first < layout.in.count(); first += layout.chunk) {
    const int64_t count = std::min(layout.chunk, layout.in.count() - first);
    parallel_chunks(count, 8, [&](int64_t begin, int64_t end) {
      const int64_t in_pitch = layout.in_pitch, out_pitch = layout.out_pitch;
      for (int64_t i = begin; i < end; ++i) {
        float* inputs = layout.inputs;
        transform_from_image<InputTransform>(
            layout.in, call.x, first + i,
            [inputs, in_pitch, count, i, in](int component, int64_t c, FloatVector value) {
              const int64_t panel = c / kPanelWidth * kPanelWidth;
              store(inputs + component * in_pitch + panel * count + i * panel_width(in - panel) +
                        (c - panel),
                    value);
            });
        float* gradients = layout.gradients + i * (out + kPad);
        transform_from_image<OutputGradientTransform>(
            layout.out, call.dy, first + i,
            [gradients, out_pitch](int component, int64_t k, FloatVector value) {
              store(gradients + component * out_pitch + k, value);
            });
      }
    });
    parallel_for(kComponents * row_blocks, [&](int64_t block) {
      const int64_t component = block / row_blocks;
      const int64_t k0 = block % row_blocks * kRowBlock;
      const int64_t rows = std::min(kRowBlock, out - k0);
      const float* a[kRowBlock];
      float* to[kRowBlock];
      for (int64_t i = 0; i < rows; ++i) {
        a[i] = layout.gradients + component * layout.out_pitch + k0 + i;
        to[i] = layout.sums + (component * out + k0 + i) * in;
      }
      multiply_panels<true>(rows, {a, 0, count, 1, out + kPad},
                            layout.inputs + component * layout.in_pitch, count, 0, in, to,
                            first > 0);
    });
  }
  parallel_for(out, [&](int64_t k) {
    for (int64_t c = 0; c < in; c += kVectorWidth) {
      transform_tile<WeightGradientTransform>(
          [&](int y, int x) { return load(layout.sums + ((y * kPoints + x) * out + k) * in + c); },
          [&](int y, int x, FloatVector value) {
            float* to = call.dw.to + (k * 9 + y * 3 + x) * in + c;
            store(to, call.dw.accumulate ? load(to) + value : value);
          });
    }
  });
}

}  // namespace basin::cpu
