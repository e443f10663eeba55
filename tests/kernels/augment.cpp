// Batches from bytes against their definition: bytes in integers, normalised values to the bit,
// mixup within the derived tolerance.
#include "kernels/augment/call.h"

#include "kernels/base/bf16.h"
#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

// A whole number in [low, high].
int64_t pick(RandomStream& random, int64_t low, int64_t high) {
  return low + random.below(static_cast<uint32_t>(high - low + 1));
}

struct StoredImage {
  int64_t offset, height, width;
};

// Images of different sizes, one behind the other.
struct Stored {
  std::vector<StoredImage> images;
  Guarded<uint8_t> pixels;

  explicit Stored(const std::vector<std::pair<int64_t, int64_t>>& sizes) : pixels(total(sizes)) {
    int64_t offset = 0;
    for (const auto& [height, width] : sizes) {
      images.push_back({offset, height, width});
      offset += height * width * 3;
    }
    RandomStream random(1, RandomPurpose::kNoise);
    for (int64_t i = 0; i < offset; ++i) {
      // A third of the values at the ends of the range, where rounding and clamping show.
      const uint32_t bits = random.bits();
      pixels[i] = static_cast<uint8_t>(bits % 6 == 0 ? 0 : (bits % 6 == 1 ? 255 : bits >> 24));
    }
  }
  static int64_t total(const std::vector<std::pair<int64_t, int64_t>>& sizes) {
    int64_t sum = 0;
    for (const auto& [height, width] : sizes) sum += height * width * 3;
    return sum;
  }
};

enum class Show { kWhole, kMoved, kEnlarged, kShrunk, kCorner, kPixel, kCenter, kEdge, kNothing };
constexpr Show kShows[] = {Show::kWhole,  Show::kMoved, Show::kEnlarged, Show::kShrunk,
                           Show::kCorner, Show::kPixel, Show::kCenter,   Show::kEdge};

// A view of `image` for batches of height x width; adds the taps it needs.
ImageView view_of(const StoredImage& image, Show show, int64_t height, int64_t width,
                  RandomStream& random, ResizeTable& table) {
  int64_t top = 0, left = 0, box_height = image.height, box_width = image.width;
  int64_t resized_height = height, resized_width = width, window_top = 0, window_left = 0;
  switch (show) {
    case Show::kWhole:  // the stored size; where it is not the batch's, edge pixels fill the rest
      resized_height = box_height;
      resized_width = box_width;
      break;
    case Show::kMoved:
      resized_height = box_height;
      resized_width = box_width;
      window_top = pick(random, -box_height - 1, box_height + 1);
      window_left = pick(random, -box_width - 1, box_width + 1);
      break;
    case Show::kEnlarged:  // a box somewhere within
      box_height = (image.height + 2) / 3;
      box_width = (image.width + 1) / 2;
      top = pick(random, 0, image.height - box_height);
      left = pick(random, 0, image.width - box_width);
      break;
    case Show::kShrunk:  // the whole image
      break;
    case Show::kCorner:  // the last pixel of the stored image lies in the box
      box_height = pick(random, 1, image.height);
      box_width = pick(random, 1, image.width);
      top = image.height - box_height;
      left = image.width - box_width;
      break;
    case Show::kPixel:
      box_height = box_width = 1;
      top = pick(random, 0, image.height - 1);
      left = pick(random, 0, image.width - 1);
      break;
    case Show::kCenter:  // resized to more than the batch's size, the middle cut out
      resized_height = height + 3;
      resized_width = width + 2;
      window_top = 1;
      window_left = 1;
      break;
    case Show::kEdge:  // resized to less, edge pixels repeated
      resized_height = (height + 1) / 2;
      resized_width = (width + 1) / 2;
      window_top = -1;
      window_left = -2;
      break;
    case Show::kNothing:
      return {-1, 0, 0, 0, 0, 0, -1, -1, 0, 0, 0};
  }
  ImageView view{};
  view.offset = image.offset + (top * image.width + left) * 3;
  view.pitch = static_cast<int32_t>(image.width * 3);
  view.box_height = static_cast<int32_t>(box_height);
  view.box_width = static_cast<int32_t>(box_width);
  view.resized_height = static_cast<int32_t>(resized_height);
  view.resized_width = static_cast<int32_t>(resized_width);
  const bool resized = box_height != resized_height || box_width != resized_width;
  view.row_taps = resized ? table.add(box_height, resized_height) : -1;
  view.column_taps = resized ? table.add(box_width, resized_width) : -1;
  view.top = static_cast<int32_t>(window_top);
  view.left = static_cast<int32_t>(window_left);
  view.flip = static_cast<int32_t>(random.below(2));
  return view;
}

// What value `position` of the window of `view` is, from the definition.
int shown_byte(const Stored& stored, const ImageView& view, const ResizeTable& table,
               int64_t position, int64_t width) {
  const int64_t c = position % 3;
  int64_t y = position / 3 / width, x = position / 3 % width;
  if (view.flip) x = width - 1 - x;
  y = std::clamp<int64_t>(y + view.top, 0, view.resized_height - 1);
  x = std::clamp<int64_t>(x + view.left, 0, view.resized_width - 1);
  const auto byte = [&](int64_t row, int64_t column) -> int64_t {
    return stored.pixels[view.offset + row * view.pitch + column * 3 + c];
  };
  if (view.row_taps < 0) return static_cast<int>(byte(y, x));
  // Rounds half up at 22 bits below the point.
  const auto rounded = [](int64_t sum) {
    return std::min<int64_t>((sum + (1 << 21)) / (1 << 22), 255);
  };
  const ResizeTap& down = table.taps[static_cast<size_t>(view.row_taps + y)];
  const ResizeTap& across = table.taps[static_cast<size_t>(view.column_taps + x)];
  int64_t sum = 0;
  for (int i = 0; i < down.count; ++i) {
    int64_t row = 0;
    for (int j = 0; j < across.count; ++j) {
      row += int64_t{table.weights[static_cast<size_t>(across.weight + j)]} *
             byte(down.first + i, across.first + j);
    }
    sum += int64_t{table.weights[static_cast<size_t>(down.weight + i)]} * rounded(row);
  }
  return static_cast<int>(rounded(sum));
}

enum class Map { kNone, kBlocks, kAll };

// Blocks of 2x2 pixels in another order, what is left over at the end staying where it is, or all
// values in another order.
Guarded<uint32_t> map_of(Map kind, int64_t height, int64_t width) {
  const int64_t size = height * width * 3;
  if (kind == Map::kNone) return Guarded<uint32_t>(0);
  Guarded<uint32_t> map(size);
  for (int64_t i = 0; i < size; ++i) map[i] = static_cast<uint32_t>(i);
  RandomStream random(2, RandomPurpose::kShuffle);
  if (kind == Map::kAll) {
    shuffle(map.data(), map.data() + size, random);
    return map;
  }
  const int64_t columns = width / 2, blocks = height / 2 * columns;
  std::vector<int64_t> order(static_cast<size_t>(blocks));
  for (int64_t i = 0; i < blocks; ++i) order[static_cast<size_t>(i)] = i;
  shuffle(order.begin(), order.end(), random);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t from = order[static_cast<size_t>(block)];
    for (int64_t y = 0; y < 2; ++y) {
      for (int64_t i = 0; i < 6; ++i) {
        map[((block / columns * 2 + y) * width + block % columns * 2) * 3 + i] =
            static_cast<uint32_t>(((from / columns * 2 + y) * width + from % columns * 2) * 3 + i);
      }
    }
  }
  return map;
}

constexpr std::array<float, 3> kMean = {0.4f, 0.5f, 0.6f}, kStddev = {0.2f, 0.25f, 0.3f};

float normalised(int byte, int64_t channel) {
  const auto c = static_cast<size_t>(channel);
  return (static_cast<float>(byte) / 255.0f - kMean[c]) / kStddev[c];
}

// Half a unit in the last place of the storage type.
template <class T>
constexpr double kStorageError = std::is_same_v<T, Bf16> ? 0x1p-8 : 0;

// Counts wrong values, and how near the right ones came to the tolerance.
struct Errors {
  int64_t wrong = 0, count = 0;
  double worst = 0;

  void value(double got, double want, double tolerance) {
    ++count;
    const double error = std::abs(got - want);
    if (!(error <= tolerance)) ++wrong;
    if (tolerance > 0) worst = std::max(worst, error / tolerance);
  }
};

// share < 0: no mixup. Without mixup, and where share is 0 or 1, values have the bits of the
// normalised bytes, rounded to T.
template <class T>
void check_augment(const Stored& stored, const std::vector<Show>& shows, int64_t height,
                   int64_t width, Map kind, float share, Errors& mixed) {
  const auto batch = static_cast<int64_t>(shows.size());
  const int64_t size = height * width * 3;
  RandomStream random(7, RandomPurpose::kAugmentation, static_cast<uint32_t>(height),
                      static_cast<uint32_t>(width));
  ResizeTable table;
  Guarded<ImageView> views(batch);
  for (int64_t n = 0; n < batch; ++n) {
    const auto image = static_cast<size_t>(n) % stored.images.size();
    views[n] =
        view_of(stored.images[image], shows[static_cast<size_t>(n)], height, width, random, table);
  }
  Guarded<ResizeTap> taps(static_cast<int64_t>(table.taps.size()));
  Guarded<int32_t> weights(static_cast<int64_t>(table.weights.size()));
  std::copy(table.taps.begin(), table.taps.end(), taps.data());
  std::copy(table.weights.begin(), table.weights.end(), weights.data());
  Guarded<uint32_t> map = map_of(kind, height, width);
  Guarded<int32_t> partners(share < 0 ? 0 : batch);
  for (int64_t n = 0; n < partners.size(); ++n) {
    partners[n] = static_cast<int32_t>((n + 1) % batch);
  }
  Guarded<float> share_of_own(1);
  share_of_own[0] = share;
  Guarded<uint8_t> pixels = stored.pixels;
  Guarded<T> y(batch * size);
  run_checked({&pixels, &views, &taps, &weights, &map, &partners, &share_of_own}, {&y}, [&] {
    device::run(Augment<T>{pixels.data(), views.data(), taps.or_null(), weights.or_null(),
                           map.or_null(), partners.or_null(), share_of_own.data(), kMean, kStddev,
                           y.data(), batch, height, width});
  });
  Errors exact;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t i = 0; i < size; ++i) {
      const int64_t from = map.size() > 0 ? map[i] : i;
      const auto value = [&](int64_t row) {
        if (views[row].offset < 0) return 0.0f;
        return normalised(shown_byte(stored, views[row], table, from, width), from % 3);
      };
      const double got = to_float(y[n * size + i]);
      if (views[n].offset < 0) {
        exact.value(got, 0, 0);
      } else if (share < 0 || share == 1) {
        exact.value(got, to_float(from_float<T>(value(n))), 0);
      } else if (share == 0) {
        exact.value(got, to_float(from_float<T>(value(partners[n]))), 0);
      } else {
        const double own = double(share) * value(n);
        const double other = (1 - double(share)) * value(partners[n]);
        // Three roundings of the terms, and that of the result to T.
        mixed.value(got, own + other,
                    3 * 0x1p-24 * (std::abs(own) + std::abs(other)) +
                        kStorageError<T> * std::abs(own + other));
      }
    }
  }
  CHECK_MESSAGE(exact.wrong == 0, exact.wrong, " of ", exact.count, " values are wrong, batch of ",
                batch, " of ", height, "x", width, ", shuffle ", static_cast<int>(kind), ", share ",
                share);
}

template <class T>
void check_all_steps(Errors& mixed) {
  const Stored stored({{1, 1}, {5, 7}, {9, 4}, {16, 11}});
  const std::pair<int64_t, int64_t> sizes[] = {{1, 1}, {3, 5}, {8, 8}, {17, 19}};
  for (const auto& [height, width] : sizes) {
    for (const Show show : kShows) {
      std::vector<Show> shows(stored.images.size(), show);
      if (too_large(height * width * static_cast<int64_t>(shows.size()))) continue;
      for (const Map map : {Map::kNone, Map::kBlocks, Map::kAll}) {
        for (const float share : {-1.0f, 0.3f}) {
          check_augment<T>(stored, shows, height, width, map, share, mixed);
        }
      }
    }
  }
  // A batch of one image, which is its own partner; ends of the share; rows without an image.
  const std::vector<Show> one = {Show::kShrunk},
                          some = {Show::kEnlarged, Show::kMoved, Show::kNothing, Show::kWhole,
                                  Show::kNothing};
  for (const float share : {-1.0f, 0.0f, 0.3f, 1.0f}) {
    check_augment<T>(stored, one, 6, 5, Map::kNone, share, mixed);
    check_augment<T>(stored, one, 17, 19, Map::kNone, share, mixed);
    check_augment<T>(stored, some, 6, 5, Map::kNone, share, mixed);
    check_augment<T>(stored, some, 6, 5, Map::kAll, share, mixed);
  }
}

}  // namespace

TEST_CASE("augmented batches are what their views, shuffle and mixup say") {
  Errors mixed;
  check_all_steps<float>(mixed);
  CHECK_MESSAGE(mixed.wrong == 0, mixed.wrong, " of ", mixed.count, " mixed values are wrong");
  MESSAGE("augment, mixup: worst error / tolerance ", mixed.worst);
  CHECK(mixed.worst > 0.02);
}

#ifdef BASIN_TEST_EMULATED
TEST_CASE("augmented batches in bfloat16") {
  Errors mixed;
  check_all_steps<Bf16>(mixed);
  CHECK_MESSAGE(mixed.wrong == 0, mixed.wrong, " of ", mixed.count, " mixed values are wrong");
  CHECK(mixed.worst > 0.02);
}
#endif

TEST_CASE("an augmented batch of more rows and pixels than a grid has blocks for") {
  // More than 4096 rows leave one block for a row.
  const int64_t batch = 4100, height = 27, width = 20, size = height * width * 3;
  if (too_large(batch * size)) return;
  Guarded<uint8_t> pixels(batch * size);
  RandomStream random(3, RandomPurpose::kNoise);
  for (int64_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(random.bits());
  Guarded<float> y(batch * size);
  device::run(Augment<float>{pixels.data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                             kMean, kStddev, y.data(), batch, height, width});
  CHECK(y.intact());
  int64_t wrong = 0;
  for (int64_t i = 0; i < y.size(); ++i) wrong += y[i] != normalised(pixels[i], i % 3);
  CHECK(wrong == 0);
}

TEST_CASE("without views row n shows image n") {
  for (const int64_t side : {1, 2, 16, 17}) {
    const int64_t batch = 3, size = side * side * 3;
    if (too_large(batch * size)) continue;
    Guarded<uint8_t> pixels(batch * size);
    for (int64_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 37);
    Guarded<float> y(batch * size);
    run_checked({&pixels}, {&y}, [&] {
      device::run(Augment<float>{pixels.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                 nullptr, kMean, kStddev, y.data(), batch, side, side});
    });
    int64_t wrong = 0;
    for (int64_t i = 0; i < y.size(); ++i) wrong += y[i] != normalised(pixels[i], i % 3);
    CHECK(wrong == 0);
  }
}

TEST_CASE("targets are one-hot or multi-hot rows, mixed with those of the partners") {
  Comparison mixed(false);
  for (const int64_t classes : {1, 5, 300}) {
    for (const bool multi_label : {false, true}) {
      for (const float share : {-1.0f, 0.0f, 0.1f, 1.0f}) {
        const int64_t images = 6, batch = 5;
        RandomStream random(5, RandomPurpose::kNoise);
        Guarded<int32_t> labels(multi_label ? 0 : images);
        Guarded<uint8_t> label_rows(multi_label ? images * classes : 0);
        for (int64_t i = 0; i < labels.size(); ++i) {
          labels[i] = static_cast<int32_t>(pick(random, 0, classes - 1));
        }
        for (int64_t i = 0; i < label_rows.size(); ++i) {
          label_rows[i] = static_cast<uint8_t>(random.below(2));
        }
        Guarded<int64_t> indices(batch);
        const int64_t shown[] = {5, 0, 3, -1, 5};
        std::copy(shown, shown + batch, indices.data());
        Guarded<int32_t> partners(share < 0 ? 0 : batch);
        const int32_t rows[] = {1, 2, 3, 0, 4};
        if (share >= 0) std::copy(rows, rows + batch, partners.data());
        Guarded<float> share_of_own(1), targets(batch * classes);
        share_of_own[0] = share;
        run_checked({&labels, &label_rows, &indices, &partners, &share_of_own}, {&targets}, [&] {
          device::run(MixTargets{labels.or_null(), label_rows.or_null(), indices.data(),
                                 partners.or_null(), share_of_own.data(), targets.data(), batch,
                                 classes});
        });
        for (int64_t n = 0; n < batch; ++n) {
          for (int64_t c = 0; c < classes; ++c) {
            const auto label = [&](int64_t row) -> double {
              if (indices[row] < 0) return 0;
              return multi_label ? label_rows[indices[row] * classes + c]
                                 : labels[indices[row]] == c;
            };
            const double got = targets[n * classes + c];
            if (share < 0 || indices[n] < 0) {
              CHECK(got == label(n));
            } else {
              const double own = double(share) * label(n);
              const double other = (1 - double(share)) * label(partners[n]);
              mixed.value(got, own + other, own + other);
            }
          }
        }
        mixed.check("targets");
      }
    }
  }
  mixed.report("targets");
}

TEST_CASE("the weights of a resize are those of a triangle filter") {
  for (const auto& [in_size, out_size] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 9}, {9, 1}, {7, 7}, {5, 12}, {100, 7}, {340, 224}}) {
    ResizeTable table;
    table.add(3, 2);  // what stands in front of it
    const int32_t begin = table.add(in_size, out_size);
    REQUIRE(begin == 2);
    REQUIRE(static_cast<int64_t>(table.taps.size()) == 2 + out_size);
    const double scale = double(in_size) / double(out_size), radius = std::max(scale, 1.0);
    for (int64_t out = 0; out < out_size; ++out) {
      const ResizeTap& tap = table.taps[static_cast<size_t>(begin + out)];
      REQUIRE(tap.first >= 0);
      REQUIRE(tap.first + tap.count <= in_size);
      std::vector<double> filter(static_cast<size_t>(in_size));
      double sum = 0;
      for (int64_t in = 0; in < in_size; ++in) {
        const double distance = std::abs(double(in) + 0.5 - (double(out) + 0.5) * scale);
        filter[static_cast<size_t>(in)] = std::max(0.0, 1 - distance / radius);
        sum += filter[static_cast<size_t>(in)];
      }
      for (int64_t in = 0; in < in_size; ++in) {
        const int64_t place = in - tap.first;
        const double weight = place < 0 || place >= tap.count
                                  ? 0
                                  : table.weights[static_cast<size_t>(tap.weight + place)];
        // Half a unit of rounding; and next to the filter's feet, what Pillow cuts off.
        REQUIRE(std::abs(weight - filter[static_cast<size_t>(in)] / sum * (1 << 22)) < 0.51);
      }
    }
  }
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: a window read beyond its resized box
//   - value < size ? value : size - 1
//   + value
// cpu: a mirror off by one
//   - static_cast<int>(width) - 1 - x
//   + static_cast<int>(width) - x
// cpu: a resize rounded down
//   - sums[3] = {kResizeHalf, kResizeHalf, kResizeHalf}
//   + sums[3] = {}
// cpu: the last tap of a row dropped
//   - j < column.count
//   + j + 1 < column.count
// cpu: shuffled values normalised by the channel they go to
//   - levels[channel][value]
//   + levels[c][value]
// cpu: mixed before the share is known
//   - const float share = call.partners ?
//   + const float share = !call.partners ?
// cpu: the end of an image not looked at
//   - area - first < kThreads ? area - first : kThreads
//   + kThreads
// cpu: targets of rows without an image mixed in
//   - call.partners && call.indices[n] >= 0
//   + call.partners
// asan: a row without an image read
//   - if (view.offset < 0) return false;
// asan: pixels behind the last
//   - if (at < area) {
//   + if (true) {
// clang-format on
