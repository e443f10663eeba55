// Direct convolution. In NHWC the kernel_width * channels values under one kernel row are
// contiguous, so an output pixel is a sum over kernel rows of (contiguous run) x (packed weights):
// a matrix product whose left-hand side is read in place, from the image or from a zero-padded copy
// of a band of it. The gradient for the input with stride s is s*s such convolutions over dy, one
// for each phase (row % s, column % s). The gradient for the weights is dy^T x im2col(x), packed
// piece by piece; the pixels are cut into a fixed number of parts whose sums are added in order.
#include "kernels/conv2d/direct.h"

#include <cstring>

#include "kernels/library/micro_kernel.h"
#include "kernels/library/workspace.h"

namespace basin::cpu {
namespace {

constexpr int64_t kPieceRows = 192;  // pixels multiplied at a time
constexpr int64_t kDepthBlock =
    256;  // a panel of it stays in the first-level cache; short sums are exacter
constexpr int64_t kUnitPixels = 384;  // pixels for which a band of the source is made ready
static_assert(kPieceRows % kBlockRows == 0);

// One direction of one phase: positions first, first + step, ... (count of them) of the output; the
// taps of position i lie at source i * source_step + shift, and the `taps` - 1 after it.
struct Axis {
  int64_t first, count, shift, taps;
  int64_t first_tap;  // backward: kernel index of the last of those taps; they descend by stride
};

// A convolution read as runs: forward over x, or backward-data over dy.
struct Layout {
  bool forward;
  int64_t batch, height, width, channels;        // source
  int64_t out_height, out_width, out_channels;   // output
  int64_t kernel_height, kernel_width, padding;  // as in Conv2dShape
  int64_t phases, source_step;                   // of one direction
  bool copy;                                     // whether a padded band has to be made
  int64_t top, left, reach_y, reach_x;           // over all phases: least shift, most shift + taps
  int64_t unit_images, unit_rows, bands, units;

  Axis axis(int64_t phase, int64_t out_size, int64_t kernel) const {
    if (forward) return {0, out_size, -padding, kernel, 0};
    const int64_t first_tap = (phase + padding) % phases;
    const int64_t taps = first_tap < kernel ? (kernel - first_tap + phases - 1) / phases : 0;
    const int64_t count = phase < out_size ? (out_size - phase + phases - 1) / phases : 0;
    return {phase, count, (phase + padding - first_tap) / phases - (taps - 1), taps, first_tap};
  }
  Axis axis_y(int64_t phase) const { return axis(phase, out_height, kernel_height); }
  Axis axis_x(int64_t phase) const { return axis(phase, out_width, kernel_width); }

  int64_t band_height() const { return (unit_rows - 1) * source_step + reach_y - top; }
  int64_t band_width() const { return (axis_x(0).count - 1) * source_step + reach_x - left; }
  // With slack for vectors that reach beyond the last value.
  int64_t band_floats() const {
    return copy ? unit_images * band_height() * band_width() * channels + kPanelWidth : 0;
  }
};

// With `whole_vectors`, reads may go up to a panel beyond the last value of a run.
void finish(Layout& layout, bool whole_vectors) {
  layout.top = layout.left = INT64_MAX;
  layout.reach_y = layout.reach_x = INT64_MIN;
  int64_t end_y = 0, end_x = 0;
  for (int64_t phase = 0; phase < layout.phases; ++phase) {
    const Axis y = layout.axis_y(phase), x = layout.axis_x(phase);
    if (y.taps > 0 && y.count > 0) {
      layout.top = std::min(layout.top, y.shift);
      layout.reach_y = std::max(layout.reach_y, y.shift + y.taps);
      end_y = std::max(end_y, (y.count - 1) * layout.source_step + y.shift + y.taps);
    }
    if (x.taps > 0 && x.count > 0) {
      layout.left = std::min(layout.left, x.shift);
      layout.reach_x = std::max(layout.reach_x, x.shift + x.taps);
      end_x = std::max(end_x, (x.count - 1) * layout.source_step + x.shift + x.taps);
    }
  }
  layout.copy =
      layout.top < 0 || layout.left < 0 || end_y > layout.height || end_x > layout.width ||
      (whole_vectors &&
       (layout.channels % kVectorWidth != 0 || layout.kernel_height * layout.kernel_width > 1));
  if (!layout.copy && layout.kernel_height * layout.kernel_width == 1 && layout.phases == 1 &&
      layout.source_step == 1 &&
      layout.padding == 0) {  // a matrix product: all pixels are one column
    layout.height = layout.out_height = layout.batch * layout.height * layout.width;
    layout.batch = layout.width = layout.out_width = 1;
  }
  const int64_t rows = layout.axis_y(0).count, columns = layout.axis_x(0).count;
  const int64_t pixels = std::clamp<int64_t>(layout.batch * rows * columns / 8, 48, kUnitPixels);
  layout.unit_images = std::clamp<int64_t>(pixels / (rows * columns), 1, layout.batch);
  layout.unit_rows = std::clamp<int64_t>(pixels / columns, 1, rows);
  layout.bands = (rows + layout.unit_rows - 1) / layout.unit_rows;
  layout.units = (layout.batch + layout.unit_images - 1) / layout.unit_images * layout.bands;
}

Layout forward_layout(const Conv2dShape& s, bool whole_vectors) {
  Layout layout{};
  layout.batch = s.batch, layout.height = s.height, layout.width = s.width;
  layout.channels = s.in_channels;
  layout.out_height = s.out_height(), layout.out_width = s.out_width();
  layout.out_channels = s.out_channels;
  layout.kernel_height = s.kernel_height, layout.kernel_width = s.kernel_width;
  layout.padding = s.padding;
  layout.phases = 1, layout.source_step = s.stride, layout.forward = true;
  finish(layout, whole_vectors);
  return layout;
}

Layout backward_layout(const Conv2dShape& s) {
  Layout layout{};
  layout.batch = s.batch, layout.height = s.out_height(), layout.width = s.out_width();
  layout.channels = s.out_channels;
  layout.out_height = s.height, layout.out_width = s.width;
  layout.out_channels = s.in_channels;
  layout.kernel_height = s.kernel_height, layout.kernel_width = s.kernel_width;
  layout.padding = s.padding;
  layout.phases = s.stride, layout.source_step = 1, layout.forward = false;
  finish(layout, false);
  return layout;
}

// Where one unit of work reads: source pixel (y, x) of image i of the unit is at
// base + i * image_pitch + (y - top) * row_pitch + (x - left) * channels.
struct Unit {
  const float* base;
  int64_t image_pitch, row_pitch, top, left;
  int64_t first_image, images, first_row, end_row;
};

Unit unit_at(const Layout& layout, int64_t index, const float* source, const float* band) {
  Unit unit;
  unit.first_image = index / layout.bands * layout.unit_images;
  unit.images = std::min(layout.unit_images, layout.batch - unit.first_image);
  unit.first_row = index % layout.bands * layout.unit_rows;
  unit.end_row = unit.first_row + layout.unit_rows;
  source += unit.first_image * layout.height * layout.width * layout.channels;
  if (!layout.copy) {
    unit.base = source;
    unit.row_pitch = layout.width * layout.channels;
    unit.image_pitch = layout.height * unit.row_pitch;
    unit.top = unit.left = 0;
    return unit;
  }
  unit.base = band;
  unit.row_pitch = layout.band_width() * layout.channels;
  unit.image_pitch = layout.band_height() * unit.row_pitch;
  unit.top = unit.first_row * layout.source_step + layout.top;
  unit.left = layout.left;
  return unit;
}

// Makes the band that the unit reads, where it reads one.
void make_band(const Layout& layout, const Unit& unit, const float* source, float* band) {
  if (!layout.copy) return;
  source += unit.first_image * layout.height * layout.width * layout.channels;
  const int64_t before = std::clamp<int64_t>(-layout.left, 0, layout.band_width());
  const int64_t skipped = std::max<int64_t>(0, layout.left);
  const int64_t used = std::clamp<int64_t>(layout.width - skipped, 0, layout.band_width() - before);
  for (int64_t image = 0; image < unit.images; ++image) {
    for (int64_t row = 0; row < layout.band_height(); ++row) {
      float* to = band + image * unit.image_pitch + row * unit.row_pitch;
      const int64_t y = unit.top + row;
      if (y < 0 || y >= layout.height) {
        std::fill_n(to, unit.row_pitch, 0.0f);
        continue;
      }
      std::fill_n(to, before * layout.channels, 0.0f);
      std::memcpy(to + before * layout.channels,
                  source + ((image * layout.height + y) * layout.width + skipped) * layout.channels,
                  used * layout.channels * sizeof(float));
      std::fill(to + (before + used) * layout.channels, to + unit.row_pitch, 0.0f);
    }
  }
}

// Calls body(count, sources, positions) for pieces of the output positions of a phase in a unit:
// for each position its first source value and its pixel index in the output.
template <class Body>
void for_pieces(const Layout& layout, const Unit& unit, const Axis& y, const Axis& x,
                const Body& body) {
  const float* sources[kPieceRows];
  int64_t positions[kPieceRows];
  int64_t count = 0;
  const int64_t end_row = std::min(unit.end_row, y.count);
  for (int64_t image = 0; image < unit.images; ++image) {
    for (int64_t row = unit.first_row; row < end_row; ++row) {
      const float* source = unit.base + image * unit.image_pitch +
                            (row * layout.source_step + y.shift - unit.top) * unit.row_pitch +
                            (x.shift - unit.left) * layout.channels;
      const int64_t position =
          ((unit.first_image + image) * layout.out_height + y.first + row * layout.phases) *
              layout.out_width +
          x.first;
      for (int64_t column = 0; column < x.count; ++column) {
        sources[count] = source + column * layout.source_step * layout.channels;
        positions[count] = position + column * layout.phases;
        if (++count == kPieceRows) {
          body(count, sources, positions);
          count = 0;
        }
      }
    }
  }
  if (count > 0) body(count, sources, positions);
}

// Depth of the packed weights before phase (py, px), and, for the last phase + 1, of all.
int64_t packed_depth_before(const Layout& layout, int64_t py, int64_t px) {
  int64_t depth = 0;
  for (int64_t phase = 0; phase < py * layout.phases + px; ++phase) {
    depth += layout.axis_y(phase / layout.phases).taps * layout.axis_x(phase % layout.phases).taps *
             layout.channels;
  }
  return depth;
}

// What follows the convolution, on `count` pixels of its y at `positions`.
void finish_pixels(const Conv2dForward<float>& call, int64_t count, const int64_t* positions) {
  const int64_t channels = call.shape.out_channels;
  const float* __restrict bias = call.bias;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = positions[i] * channels;
    float* __restrict y = call.y + first;
    if (call.residual) {
      const float* __restrict residual = call.residual + first;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[c] = y[c] + bias[c] + residual[c];
    } else {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[c] += bias[c];
    }
    if (call.relu) {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[c] = y[c] > 0 ? y[c] : 0;
    }
  }
}

// Convolves: the packed weights of phase (py, px) begin at
// packed + packed_depth_before() * packed_columns(out_channels). `finish(count, positions)` is told
// of pixels that are done, while they are in the cache.
template <class Finish>
void convolve(const Layout& layout, const float* source, const float* packed, float* out,
              bool accumulate, float* bands, const Finish& finish) {
  parallel_slots(layout.units, [&](int64_t slot, int64_t index) {
    float* band = bands + slot * layout.band_floats();
    const Unit unit = unit_at(layout, index, source, band);
    make_band(layout, unit, source, band);
    for (int64_t py = 0; py < layout.phases; ++py) {
      for (int64_t px = 0; px < layout.phases; ++px) {
        const Axis y = layout.axis_y(py), x = layout.axis_x(px);
        const int64_t run = x.taps * layout.channels, depth = y.taps * run;
        const float* weights =
            packed + packed_depth_before(layout, py, px) * packed_columns(layout.out_channels);
        for_pieces(layout, unit, y, x,
                   [&](int64_t count, const float* const* sources, const int64_t* positions) {
                     float* to[kPieceRows];
                     for (int64_t i = 0; i < count; ++i) {
                       to[i] = out + positions[i] * layout.out_channels;
                     }
                     if (depth == 0) {
                       if (accumulate) return;
                       for (int64_t i = 0; i < count; ++i) {
                         std::fill_n(to[i], layout.out_channels, 0.0f);
                       }
                     } else if (run <= kDepthBlock) {
                       const int64_t together = kDepthBlock / run;
                       for (int64_t r = 0; r < y.taps; r += together) {
                         const LeftRows a{sources, r * unit.row_pitch, run,
                                          std::min(together, y.taps - r), unit.row_pitch};
                         multiply_panels<false>(count, a, weights, depth, r * run,
                                                layout.out_channels, to, accumulate || r > 0);
                       }
                     } else {
                       const int64_t blocks = (run + kDepthBlock - 1) / kDepthBlock;
                       const int64_t block = (run + blocks - 1) / blocks;
                       for (int64_t r = 0; r < y.taps; ++r) {
                         for (int64_t k = 0; k < run; k += block) {
                           const LeftRows a{sources, r * unit.row_pitch + k,
                                            std::min(block, run - k), 1, 0};
                           multiply_panels<false>(count, a, weights, depth, r * run + k,
                                                  layout.out_channels, to,
                                                  accumulate || r > 0 || k > 0);
                         }
                       }
                     }
                     finish(count, positions);
                   });
      }
    }
  });
}

struct ConvolveBuffers {
  float *packed, *bands;
};
ConvolveBuffers convolve_buffers(const Layout& layout, WorkspaceCutter& cut) {
  float* packed = cut.floats(packed_depth_before(layout, layout.phases, 0) *
                             packed_columns(layout.out_channels));
  return {packed, cut.floats(threads() * layout.band_floats())};
}

// The gradient for the weights: blocks of up to kRowBlock out channels times kColumnBlock columns
// of the [out_channels, kernel_height * kernel_width * in_channels] matrix.
constexpr int64_t kRowBlock = 264, kColumnBlock = 256;
static_assert(kRowBlock % kBlockRows == 0 && kColumnBlock % kPanelWidth == 0);

struct WeightsLayout {
  Layout layout;
  int64_t rows, columns, row_blocks, column_blocks, parts;
  int64_t row_block;  // out channels in a block
  // Bands are made by the thread that reads them, or, where several blocks read the same,
  // beforehand.
  bool all_bands;
  float *partial, *bands, *packed_a, *packed_b;
};

constexpr int64_t kPackedA = kPieceRows * kRowBlock;
constexpr int64_t kPackedB = kPieceRows * kColumnBlock + kPanelWidth;

WeightsLayout weights_layout(const Conv2dShape& s, WorkspaceCutter& cut) {
  WeightsLayout w;
  w.layout = forward_layout(s, true);
  w.rows = s.out_channels;
  w.columns = s.kernel_height * s.kernel_width * s.in_channels;
  w.row_blocks = (w.rows + kRowBlock - 1) / kRowBlock;
  w.row_block =
      ((w.rows + w.row_blocks - 1) / w.row_blocks + kBlockRows - 1) / kBlockRows * kBlockRows;
  w.column_blocks = (w.columns + kColumnBlock - 1) / kColumnBlock;
  const int64_t blocks = w.row_blocks * w.column_blocks;
  w.parts = std::min((16 + blocks - 1) / blocks, w.layout.units);
  w.partial = cut.floats(w.parts > 1 ? w.parts * w.rows * w.columns : 0);
  w.all_bands = w.layout.copy && blocks > 1;
  w.bands = cut.floats((w.all_bands ? w.layout.units : threads()) * w.layout.band_floats());
  w.packed_a = cut.floats(threads() * kPackedA);
  w.packed_b = cut.floats(threads() * kPackedB);
  return w;
}

// Packs columns [first, first + columns) of im2col of `count` pixels, a few pixels at a time, so
// that memory is read nearly in order. Copies whole vectors: what reaches beyond a run is
// overwritten by the next run, or is a column nobody uses.
void pack_im2col(const Layout& layout, const Unit& unit, int64_t count, const float* const* sources,
                 int64_t first, int64_t columns, float* packed) {
  constexpr int64_t kTogether = 8;
  const int64_t run = layout.kernel_width * layout.channels;
  for (int64_t begin = 0; begin < count; begin += kTogether) {
    const int64_t end = std::min(count, begin + kTogether);
    for (int64_t j0 = 0; j0 < columns; j0 += kPanelWidth) {
      const int64_t width = panel_width(columns - j0), used = std::min(width, columns - j0);
      const int64_t r0 = (first + j0) / run, k0 = (first + j0) % run;
      float* to = packed + j0 * count + begin * width;
      if (width == kPanelWidth && k0 + used <= run) {  // the panel lies in one run
        const int64_t offset = r0 * unit.row_pitch + k0;
        for (int64_t i = begin; i < end; ++i, to += kPanelWidth) {
          store(to, load(sources[i] + offset));
          store(to + kVectorWidth, load(sources[i] + offset + kVectorWidth));
        }
        continue;
      }
      for (int64_t i = begin; i < end; ++i, to += width) {
        const bool last = i + 1 == count;  // after it lies a panel that is packed already
        int64_t r = r0, k = k0;
        for (int64_t j = 0; j < used;) {
          const float* from = sources[i] + r * unit.row_pitch + k;
          if (last) {
            std::copy_n(from, std::min(used - j, run - k), to + j);
          } else {
            store(to + j, load(from));
            if (width == kPanelWidth) store(to + j + kVectorWidth, load(from + kVectorWidth));
          }
          j += run - k;
          k = 0;
          ++r;
        }
      }
    }
  }
}

}  // namespace

int64_t direct_workspace_bytes(const Conv2dForward<float>& call) {
  WorkspaceCutter cut(nullptr);
  convolve_buffers(forward_layout(call.shape, false), cut);
  return cut.bytes();
}

int64_t direct_workspace_bytes(const Conv2dBackwardData<float>& call) {
  WorkspaceCutter cut(nullptr);
  convolve_buffers(backward_layout(call.shape), cut);
  return cut.bytes();
}

int64_t direct_workspace_bytes(const Conv2dBackwardWeights<float>& call) {
  WorkspaceCutter cut(nullptr);
  weights_layout(call.shape, cut);
  return cut.bytes();
}

void run_direct(const Conv2dForward<float>& call) {
  const Layout layout = forward_layout(call.shape, false);
  WorkspaceCutter cut(call.workspace);
  const ConvolveBuffers buffers = convolve_buffers(layout, cut);
  const int64_t depth = layout.kernel_height * layout.kernel_width * layout.channels;
  parallel_chunks(layout.out_channels, kPanelWidth, [&](int64_t first, int64_t end) {
    pack_panels_from_columns(depth, end - first, call.w + first * depth, depth,
                             buffers.packed + first * depth);
  });
  convolve(layout, call.x, buffers.packed, call.y, false, buffers.bands,
           [&](int64_t count, const int64_t* positions) {
             if (call.bias) finish_pixels(call, count, positions);
           });
}

void run_direct(const Conv2dBackwardData<float>& call) {
  const Layout layout = backward_layout(call.shape);
  WorkspaceCutter cut(call.workspace);
  const ConvolveBuffers buffers = convolve_buffers(layout, cut);
  const Conv2dShape& s = call.shape;
  parallel_chunks(s.in_channels, kPanelWidth, [&](int64_t first, int64_t end) {
    for (int64_t py = 0; py < layout.phases; ++py) {
      for (int64_t px = 0; px < layout.phases; ++px) {
        const Axis y = layout.axis_y(py), x = layout.axis_x(px);
        const int64_t depth = y.taps * x.taps * s.out_channels;
        float* packed =
            buffers.packed + packed_depth_before(layout, py, px) * packed_columns(s.in_channels);
        for (int64_t tap = 0; tap < y.taps * x.taps; ++tap) {
          const int64_t r = y.first_tap + s.stride * (y.taps - 1 - tap / x.taps);
          const int64_t t = x.first_tap + s.stride * (x.taps - 1 - tap % x.taps);
          pack_panels_from_rows(
              s.out_channels, end - first,
              call.w + (r * s.kernel_width + t) * s.in_channels + first,
              s.kernel_height * s.kernel_width * s.in_channels,
              packed + first * depth + tap * s.out_channels * panel_width(s.in_channels - first));
        }
      }
    }
  });
  convolve(layout, call.dy, buffers.packed, call.dx.to, call.dx.accumulate, buffers.bands,
           [](int64_t, const int64_t*) {});
}

void run_direct(const Conv2dBackwardWeights<float>& call) {
  WorkspaceCutter cut(call.workspace);
  const WeightsLayout w = weights_layout(call.shape, cut);
  const Layout& layout = w.layout;
  const Axis y = layout.axis_y(0), x = layout.axis_x(0);
  const int64_t blocks = w.row_blocks * w.column_blocks;
  if (w.all_bands) {
    parallel_for(layout.units, [&](int64_t u) {
      float* band = w.bands + u * layout.band_floats();
      make_band(layout, unit_at(layout, u, call.x, band), call.x, band);
    });
  }
  parallel_slots(w.parts * blocks, [&](int64_t slot, int64_t job) {
    const int64_t part = job / blocks;
    const int64_t i0 = job % blocks / w.column_blocks * w.row_block;
    const int64_t j0 = job % w.column_blocks * kColumnBlock;
    const int64_t rows = std::min(w.row_block, w.rows - i0);
    const int64_t columns = std::min(kColumnBlock, w.columns - j0);
    float* packed_a = w.packed_a + slot * kPackedA;
    float* packed_b = w.packed_b + slot * kPackedB;
    float* to = w.parts > 1 ? w.partial + part * w.rows * w.columns : call.dw.to;
    float* out[kRowBlock];
    for (int64_t i = 0; i < rows; ++i) out[i] = to + (i0 + i) * w.columns + j0;
    bool accumulate = w.parts == 1 && call.dw.accumulate;
    for (int64_t u = layout.units * part / w.parts; u < layout.units * (part + 1) / w.parts; ++u) {
      float* band = w.bands + (w.all_bands ? u : slot) * layout.band_floats();
      const Unit unit = unit_at(layout, u, call.x, band);
      if (!w.all_bands) make_band(layout, unit, call.x, band);
      for_pieces(layout, unit, y, x,
                 [&](int64_t count, const float* const* sources, const int64_t* positions) {
                   pack_im2col(layout, unit, count, sources, j0, columns, packed_b);
                   pack_interleaved(
                       rows, count, [&](int64_t k) { return call.dy + positions[k] * w.rows + i0; },
                       packed_a);
                   const float* a[kRowBlock];
                   for (int64_t i = 0; i < rows; i += kBlockRows) a[i] = packed_a + i * count;
                   multiply_panels<true>(rows, {a, 0, count, 1, kBlockRows}, packed_b, count, 0,
                                         columns, out, accumulate);
                   accumulate = true;
                 });
    }
  });
  if (w.parts == 1) return;
  parallel_chunks(w.rows * w.columns, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float sum = call.dw.accumulate ? call.dw.to[i] : 0.0f;
      for (int64_t part = 0; part < w.parts; ++part) {
        sum += w.partial[part * w.rows * w.columns + i];
      }
      call.dw.to[i] = sum;
    }
  });
}

}  // namespace basin::cpu
