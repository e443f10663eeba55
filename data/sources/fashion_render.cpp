// The renderers of the derived domains. Contours are level sets of a blurred mask: the distance of
// a pixel to one is about |value - level| / |gradient|, which gives smooth strokes without
// supersampling.
#include "data/sources/fashion_render.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/base/random.h"

namespace basin::data {

namespace {

constexpr int kSide = static_cast<int>(kDrawnSide);
constexpr int kSize = kSide * kSide;
constexpr int kMargin = static_cast<int>(kDrawnSide - kPhotoSide) / 2;
constexpr uint64_t kRenderSeed = 0;  // fixed: a data set does not change with the run's seed

// Gives each domain its own stream; goes where other purposes put the epoch.
enum Domain : uint32_t { kClipart = 1, kQuickdraw = 2, kMosaic = 3, kMosaicGarments = 4 };

using Plane = std::array<float, kSize>;

RandomStream render_stream(Domain domain, int64_t number) {
  return {kRenderSeed, RandomPurpose::kRender, domain, static_cast<uint32_t>(number)};
}

// The photograph in the middle of the plane, 0..1.
Plane padded(const uint8_t* photo) {
  Plane plane{};
  for (int y = 0; y < kPhotoSide; ++y) {
    for (int x = 0; x < kPhotoSide; ++x) {
      plane[(y + kMargin) * kSide + x + kMargin] =
          static_cast<float>(photo[y * kPhotoSide + x]) / 255.0f;
    }
  }
  return plane;
}

// Gaussian blur of a square image, 7 taps, edge values repeated.
template <int side, class Image>
Image blurred(const Image& in, float sigma) {
  constexpr int kRadius = 3;
  std::array<float, 2 * kRadius + 1> weights;
  float sum = 0;
  for (int i = -kRadius; i <= kRadius; ++i) {
    weights[i + kRadius] = std::exp(-0.5f * static_cast<float>(i * i) / (sigma * sigma));
    sum += weights[i + kRadius];
  }
  for (float& weight : weights) weight /= sum;
  Image rows{}, out{};
  for (int y = 0; y < side; ++y) {
    std::array<float, side + 2 * kRadius> line;
    for (int x = 0; x < side + 2 * kRadius; ++x) {
      line[x] = in[y * side + std::clamp(x - kRadius, 0, side - 1)];
    }
    for (int i = 0; i <= 2 * kRadius; ++i) {
      for (int x = 0; x < side; ++x) rows[y * side + x] += weights[i] * line[x + i];
    }
  }
  for (int y = 0; y < side; ++y) {
    for (int i = 0; i <= 2 * kRadius; ++i) {
      const float* row = &rows[std::clamp(y + i - kRadius, 0, side - 1) * side];
      for (int x = 0; x < side; ++x) out[y * side + x] += weights[i] * row[x];
    }
  }
  return out;
}

// 3x3 median; the outermost pixels are left as they are.
Plane median(const Plane& in) {
  Plane out = in;
  const auto order = [](float& low, float& high) {
    const float smaller = std::min(low, high);
    high = std::max(low, high);
    low = smaller;
  };
  for (int y = 1; y + 1 < kSide; ++y) {
    for (int x = 1; x + 1 < kSide; ++x) {
      // Sorted columns: the median of nine is the median of the largest minimum, the median
      // median, and the smallest maximum.
      std::array<float, 3> low, middle, high;
      for (int i = 0; i < 3; ++i) {
        low[i] = in[(y - 1) * kSide + x + i - 1];
        middle[i] = in[y * kSide + x + i - 1];
        high[i] = in[(y + 1) * kSide + x + i - 1];
        order(low[i], middle[i]);
        order(middle[i], high[i]);
        order(low[i], middle[i]);
      }
      float a = std::max({low[0], low[1], low[2]});
      order(middle[0], middle[1]);
      float b = std::max(middle[0], std::min(middle[1], middle[2]));
      float c = std::min({high[0], high[1], high[2]});
      order(a, b);
      order(b, c);
      out[y * kSide + x] = std::max(a, b);
    }
  }
  return out;
}

// Sets connected regions of `value` that have fewer than `smallest` pixels to the other value.
// Pixels that touch at a corner are connected if `corners`.
void drop_small_regions(Plane& mask, float value, int smallest, bool corners = false) {
  std::array<bool, kSize> seen{};
  std::array<int, kSize> region;
  for (int start = 0; start < kSize; ++start) {
    if (seen[start] || mask[start] != value) continue;
    int count = 0;
    region[count++] = start;
    seen[start] = true;
    for (int i = 0; i < count; ++i) {
      const int at = region[i], x = at % kSide, y = at / kSide;
      const auto visit = [&](bool inside, int next) {
        if (inside && !seen[next] && mask[next] == value) {
          seen[next] = true;
          region[count++] = next;
        }
      };
      visit(x > 0, at - 1);
      visit(x + 1 < kSide, at + 1);
      visit(y > 0, at - kSide);
      visit(y + 1 < kSide, at + kSide);
      if (!corners) continue;
      visit(x > 0 && y > 0, at - kSide - 1);
      visit(x + 1 < kSide && y > 0, at - kSide + 1);
      visit(x > 0 && y + 1 < kSide, at + kSide - 1);
      visit(x + 1 < kSide && y + 1 < kSide, at + kSide + 1);
    }
    if (count >= smallest) continue;
    for (int i = 0; i < count; ++i) mask[region[i]] = 1.0f - value;
  }
}

// 1 where the garment is, without specks and pinholes.
Plane garment_mask(const Plane& photo) {
  Plane mask;
  for (int i = 0; i < kSize; ++i) mask[i] = photo[i] > 0.12f ? 1.0f : 0.0f;
  drop_small_regions(mask, 0.0f, 7);
  drop_small_regions(mask, 1.0f, 7);
  return mask;
}

// Where the plane is above `level`, as one blurred mask of few, large pieces.
Plane flat_region(const Plane& plane, float level) {
  Plane region;
  for (int i = 0; i < kSize; ++i) region[i] = plane[i] > level ? 1.0f : 0.0f;
  drop_small_regions(region, 1.0f, 14);
  drop_small_regions(region, 0.0f, 14);
  return blurred<kSide>(region, 0.7f);
}

// Central differences at (x, y).
struct Gradient {
  float x, y;
  float length() const { return std::sqrt(x * x + y * y); }
};
Gradient gradient(const Plane& plane, int x, int y) {
  const int left = std::max(x - 1, 0), right = std::min(x + 1, kSide - 1);
  const int up = std::max(y - 1, 0), down = std::min(y + 1, kSide - 1);
  return {(plane[y * kSide + right] - plane[y * kSide + left]) * 0.5f,
          (plane[down * kSide + x] - plane[up * kSide + x]) * 0.5f};
}

// Signed distance in pixels of (x, y) to the level set, positive where the plane is above `level`.
float level_distance(const Plane& plane, float level, int x, int y) {
  const float slope = std::max(gradient(plane, x, y).length(), 0.04f);
  return (plane[y * kSide + x] - level) / slope;
}

// How much of a pixel at `distance` from an edge lies on its positive side.
float coverage(float distance) {
  return std::clamp(distance + 0.5f, 0.0f, 1.0f);
}

using Color = std::array<float, 3>;

Color mix(const Color& a, const Color& b, float share_of_b) {
  Color color;
  for (int c = 0; c < 3; ++c) color[c] = a[c] + (b[c] - a[c]) * share_of_b;
  return color;
}

// `hue` in turns; saturation and value in 0..1.
Color from_hsv(float hue, float saturation, float value) {
  Color color;
  for (int c = 0; c < 3; ++c) {
    const float turn = hue + static_cast<float>(3 - c) / 3.0f;
    const float position = std::abs((turn - std::floor(turn)) * 6.0f - 3.0f) - 1.0f;
    color[c] = value * (1.0f - saturation * (1.0f - std::clamp(position, 0.0f, 1.0f)));
  }
  return color;
}

uint8_t to_byte(float value) {
  return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0f, 1.0f) * 255.0f));
}

// A random field of displacements, smooth over the plane: bicubic-like interpolation (smoothstep)
// between random values on a coarse grid.
class Wobble {
 public:
  Wobble(RandomStream& random, float largest) {
    for (float& value : grid_) value = random.uniform(-largest, largest);
  }
  // Component 0 (x) or 1 (y) of the displacement at a pixel.
  float at(int component, int x, int y) const {
    const float gx = static_cast<float>(x) * kCells / kSide,
                gy = static_cast<float>(y) * kCells / kSide;
    const int cx = static_cast<int>(gx), cy = static_cast<int>(gy);
    const float fx = smooth(gx - static_cast<float>(cx)), fy = smooth(gy - static_cast<float>(cy));
    const float* cell = &grid_[(component * kNodes + cy) * kNodes + cx];
    const float top = cell[0] + (cell[1] - cell[0]) * fx;
    const float bottom = cell[kNodes] + (cell[kNodes + 1] - cell[kNodes]) * fx;
    return top + (bottom - top) * fy;
  }

 private:
  static constexpr int kCells = 5, kNodes = kCells + 1;
  static float smooth(float t) { return t * t * (3.0f - 2.0f * t); }
  std::array<float, 2 * kNodes * kNodes> grid_;
};

// Bilinear sample; coordinates are clamped to the plane.
float sample(const Plane& plane, float x, float y) {
  x = std::clamp(x, 0.0f, kSide - 1.001f);
  y = std::clamp(y, 0.0f, kSide - 1.001f);
  const int ix = static_cast<int>(x), iy = static_cast<int>(y);
  const float fx = x - static_cast<float>(ix), fy = y - static_cast<float>(iy);
  const float* at = &plane[iy * kSide + ix];
  const float top = at[0] + (at[1] - at[0]) * fx;
  const float bottom = at[kSide] + (at[kSide + 1] - at[kSide]) * fx;
  return top + (bottom - top) * fy;
}

}  // namespace

void render_photo(const uint8_t* photo, uint8_t* pixels) {
  std::fill_n(pixels, kSize, uint8_t{255});
  for (int y = 0; y < kPhotoSide; ++y) {
    for (int x = 0; x < kPhotoSide; ++x) {
      pixels[(y + kMargin) * kSide + x + kMargin] =
          static_cast<uint8_t>(255 - photo[y * kPhotoSide + x]);
    }
  }
}

void render_clipart(const uint8_t* photo, int64_t number, uint8_t* pixels) {
  RandomStream random = render_stream(kClipart, number);
  const float hue = random.uniform();
  const float background_hue = hue + random.uniform(0.3f, 0.7f);  // far from the garment's
  const Color background = from_hsv(background_hue, random.uniform(0.08f, 0.25f), 0.97f);
  const float saturation = random.uniform(0.65f, 0.95f);
  const Color light = from_hsv(hue + 0.03f, saturation * 0.6f, 1.0f);
  const Color medium = from_hsv(hue, saturation, 0.85f);
  const Color dark = from_hsv(hue - 0.03f, saturation, 0.55f);
  const Color outline = from_hsv(hue, 0.6f, 0.15f);

  const Plane plane = median(padded(photo));
  const Plane mask = garment_mask(plane);
  const Plane shape = blurred<kSide>(mask, 0.7f);
  std::array<float, kSize> inside;  // the garment's own tones: the shades follow them
  int count = 0;
  for (int i = 0; i < kSize; ++i) {
    if (mask[i] > 0.5f) inside[count++] = plane[i];
  }
  float lightest = 0, darkest = 1;
  if (count > 0) {
    std::sort(inside.begin(), inside.begin() + count);
    lightest = inside[count / 10];
    darkest = inside[count - 1 - count / 20];
  }
  const float range = std::max(darkest - lightest, 0.15f);
  const Plane tone = blurred<kSide>(plane, 0.6f);
  const Plane medium_shape = flat_region(tone, lightest + 0.35f * range);
  const Plane dark_shape = flat_region(tone, lightest + 0.75f * range);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      Color color = mix(light, medium, coverage(level_distance(medium_shape, 0.5f, x, y)));
      color = mix(color, dark, coverage(level_distance(dark_shape, 0.5f, x, y)));
      const float depth = level_distance(shape, 0.5f, x, y);  // into the garment
      color = mix(background, color, coverage(depth));
      color = mix(color, outline, coverage(0.85f - std::abs(depth)));
      for (int c = 0; c < 3; ++c) pixels[(y * kSide + x) * 3 + c] = to_byte(color[c]);
    }
  }
}

void render_quickdraw(const uint8_t* photo, int64_t number, uint8_t* pixels) {
  RandomStream random = render_stream(kQuickdraw, number);
  const Wobble wobble(random, 1.2f);
  const Plane source = padded(photo);
  const Plane source_mask = garment_mask(source);
  Plane plane, mask;
  const Plane soft = blurred<kSide>(source, 0.7f), soft_mask = blurred<kSide>(source_mask, 0.7f);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const float from_x = static_cast<float>(x) + wobble.at(0, x, y);
      const float from_y = static_cast<float>(y) + wobble.at(1, x, y);
      plane[y * kSide + x] = sample(soft, from_x, from_y);
      mask[y * kSide + x] = sample(soft_mask, from_x, from_y);
    }
  }
  // Inner strokes: ridges of the gradient, well inside of the contour.
  Plane steep;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) steep[y * kSide + x] = gradient(plane, x, y).length();
  }
  Plane strokes{};
  for (int y = 2; y + 2 < kSide; ++y) {
    for (int x = 2; x + 2 < kSide; ++x) {
      const int at = y * kSide + x;
      if (steep[at] < 0.11f || level_distance(mask, 0.5f, x, y) < 2.0f || mask[at] < 0.97f)
        continue;
      const Gradient slope = gradient(plane, x, y);
      const float dx = slope.x / steep[at], dy = slope.y / steep[at];
      const auto fx = static_cast<float>(x), fy = static_cast<float>(y);
      if (steep[at] >= sample(steep, fx + dx, fy + dy) &&
          steep[at] > sample(steep, fx - dx, fy - dy)) {
        strokes[at] = 1.0f;
      }
    }
  }
  drop_small_regions(strokes, 1.0f, 5, true);
  strokes = blurred<kSide>(strokes, 0.5f);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const float contour = coverage(0.65f - std::abs(level_distance(mask, 0.5f, x, y)));
      const float inner = std::min(1.0f, 1.3f * strokes[y * kSide + x]);
      pixels[y * kSide + x] = to_byte(1.0f - std::max(contour, inner));
    }
  }
}

std::vector<int64_t> mosaic_garments(int64_t number, int64_t first, int64_t begin, int64_t end) {
  RandomStream random = render_stream(kMosaicGarments, number);
  std::vector<int64_t> garments{first};
  for (uint32_t more = random.below(4); more > 0; --more) {
    garments.push_back(begin + random.below(static_cast<uint32_t>(end - begin)));
  }
  return garments;
}

void render_mosaic(const std::vector<const uint8_t*>& photos, int64_t number, uint8_t* pixels) {
  constexpr int kCanvas = static_cast<int>(kMosaicSide), kCell = kCanvas / 2;
  using Canvas = std::array<float, kCanvas * kCanvas>;
  RandomStream random = render_stream(kMosaic, number);
  Canvas canvas;
  // A background that brightens slowly in a random direction.
  const float level = random.uniform(0.42f, 0.58f);
  const float angle = random.uniform(0.0f, 2.0f * std::numbers::pi_v<float>);
  const float slope = random.uniform(0.0f, 0.15f) / kCanvas;
  for (int y = 0; y < kCanvas; ++y) {
    for (int x = 0; x < kCanvas; ++x) {
      canvas[y * kCanvas + x] = level + slope * (std::cos(angle) * static_cast<float>(x - kCell) +
                                                 std::sin(angle) * static_cast<float>(y - kCell));
    }
  }
  std::array<int, 4> cells{0, 1, 2, 3};
  shuffle(cells.begin(), cells.end(), random);
  for (size_t i = 0; i < photos.size(); ++i) {
    // Anywhere around its quarter, with at least one pixel to the border of the canvas.
    const int jitter_y = static_cast<int>(random.below(8)),
              jitter_x = static_cast<int>(random.below(8));
    const int top = cells[i] / 2 == 0 ? 1 + jitter_y : kCanvas - kPhotoSide - 1 - jitter_y;
    const int left = cells[i] % 2 == 0 ? 1 + jitter_x : kCanvas - kPhotoSide - 1 - jitter_x;
    const float contrast = random.uniform(0.15f, 0.3f);
    for (int y = 0; y < kPhotoSide; ++y) {
      for (int x = 0; x < kPhotoSide; ++x) {
        canvas[(top + y) * kCanvas + left + x] -=
            contrast * static_cast<float>(photos[i][y * kPhotoSide + x]) / 255.0f;
      }
    }
  }
  canvas = blurred<kCanvas>(canvas, random.uniform(0.7f, 1.1f));
  for (int i = 0; i < kCanvas * kCanvas; ++i) pixels[i] = to_byte(canvas[i]);
}

}  // namespace basin::data
