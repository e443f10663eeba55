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

// Four images one after the other.
constexpr int64_t kStored = 4;

Guarded<uint8_t> stored_images(int64_t height, int64_t width) {
  Guarded<uint8_t> pixels(kStored * height * width * 3);
  RandomStream random(1, RandomPurpose::kNoise);
  for (int64_t i = 0; i < pixels.size(); ++i) {
    // A third of the values at the ends of the range.
    const uint32_t bits = random.bits();
    pixels[i] = static_cast<uint8_t>(bits % 6 == 0 ? 0 : (bits % 6 == 1 ? 255 : bits >> 24));
  }
  return pixels;
}

// How images are shown: as they are; moved to anywhere, out of sight included; moved by one pixel;
// their first or last pixel everywhere.
enum class Show { kWhole, kMoved, kByOne, kFirst, kLast };
constexpr Show kShows[] = {Show::kWhole, Show::kMoved, Show::kByOne, Show::kFirst, Show::kLast};

ImageView view_of(int64_t image, Show show, int64_t height, int64_t width, RandomStream& random) {
  int64_t down = 0, right = 0;
  if (show == Show::kMoved) {
    down = pick(random, -height - 1, height + 1);
    right = pick(random, -width - 1, width + 1);
  } else if (show == Show::kByOne) {
    down = pick(random, -1, 1);
    right = pick(random, -1, 1);
  } else if (show != Show::kWhole) {
    down = show == Show::kFirst ? height : -height;
    right = show == Show::kFirst ? width : -width;
  }
  return {image, static_cast<int32_t>(down), static_cast<int32_t>(right),
          static_cast<int32_t>(random.below(2))};
}

// What value `position` of a row is, from the definition.
int shown_byte(const Guarded<uint8_t>& pixels, const ImageView& view, int64_t position,
               int64_t height, int64_t width) {
  int64_t y = position / 3 / width, x = position / 3 % width;
  if (view.flip) x = width - 1 - x;
  y = std::clamp<int64_t>(y - view.down, 0, height - 1);
  x = std::clamp<int64_t>(x - view.right, 0, width - 1);
  return pixels[((view.image * height + y) * width + x) * 3 + position % 3];
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
void check_augment(const std::vector<Show>& shows, int64_t height, int64_t width, Map kind,
                   float share, Errors& mixed) {
  const auto batch = static_cast<int64_t>(shows.size());
  const int64_t size = height * width * 3;
  RandomStream random(7, RandomPurpose::kAugmentation, static_cast<uint32_t>(height),
                      static_cast<uint32_t>(width));
  Guarded<uint8_t> pixels = stored_images(height, width);
  Guarded<ImageView> views(batch);
  for (int64_t n = 0; n < batch; ++n) {
    views[n] =
        view_of((kStored - 1 + n) % kStored, shows[static_cast<size_t>(n)], height, width, random);
  }
  Guarded<uint32_t> map = map_of(kind, height, width);
  Guarded<int32_t> partners(share < 0 ? 0 : batch);
  for (int64_t n = 0; n < partners.size(); ++n) {
    partners[n] = static_cast<int32_t>((n + 1) % batch);
  }
  Guarded<float> share_of_own(1);
  share_of_own[0] = share;
  Guarded<T> y(batch * size);
  run_checked({&pixels, &views, &map, &partners, &share_of_own}, {&y}, [&] {
    device::run(Augment<T>{.pixels = pixels.data(),
                           .views = views.data(),
                           .map = map.or_null(),
                           .partners = partners.or_null(),
                           .share = share_of_own.data(),
                           .mean = kMean,
                           .stddev = kStddev,
                           .y = y.data(),
                           .batch = batch,
                           .height = height,
                           .width = width});
  });
  Errors exact;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t i = 0; i < size; ++i) {
      const int64_t from = map.size() > 0 ? map[i] : i;
      const auto value = [&](int64_t row) {
        return normalised(shown_byte(pixels, views[row], from, height, width), from % 3);
      };
      const double got = to_float(y[n * size + i]);
      if (share < 0 || share == 1) {
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
  const std::pair<int64_t, int64_t> sizes[] = {{1, 1}, {3, 5}, {8, 8}, {17, 19}};
  for (const auto& [height, width] : sizes) {
    for (const Show show : kShows) {
      const std::vector<Show> shows(kStored, show);
      if (too_large(height * width * kStored)) continue;
      for (const Map map : {Map::kNone, Map::kBlocks, Map::kAll}) {
        for (const float share : {-1.0f, 0.3f}) {
          check_augment<T>(shows, height, width, map, share, mixed);
        }
      }
    }
  }
  // A batch of one image, which is its own partner; ends of the share.
  const std::vector<Show> one = {Show::kMoved}, some = {Show::kByOne, Show::kMoved, Show::kWhole,
                                                        Show::kMoved, Show::kLast};
  for (const float share : {-1.0f, 0.0f, 0.3f, 1.0f}) {
    check_augment<T>(one, 6, 5, Map::kNone, share, mixed);
    check_augment<T>(one, 17, 19, Map::kNone, share, mixed);
    check_augment<T>(some, 6, 5, Map::kNone, share, mixed);
    check_augment<T>(some, 6, 5, Map::kAll, share, mixed);
  }
}

// A batch without views: row n shows image n.
void check_without_views(int64_t batch, int64_t height, int64_t width) {
  const int64_t size = height * width * 3;
  if (too_large(batch * size)) return;
  Guarded<uint8_t> pixels(batch * size);
  RandomStream random(3, RandomPurpose::kNoise);
  for (int64_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(random.bits());
  Guarded<float> y(batch * size);
  run_checked({&pixels}, {&y}, [&] {
    device::run(Augment<float>{.pixels = pixels.data(),
                               .views = nullptr,
                               .map = nullptr,
                               .partners = nullptr,
                               .share = nullptr,
                               .mean = kMean,
                               .stddev = kStddev,
                               .y = y.data(),
                               .batch = batch,
                               .height = height,
                               .width = width});
  });
  int64_t wrong = 0;
  for (int64_t i = 0; i < y.size(); ++i) wrong += y[i] != normalised(pixels[i], i % 3);
  CHECK(wrong == 0);
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
  check_without_views(4100, 27, 20);  // more than 4096 rows leave one block for a row
}

TEST_CASE("without views row n shows image n") {
  for (const int64_t side : {1, 2, 16, 17}) check_without_views(3, side, side);
}

TEST_CASE("targets are one-hot or multi-hot rows, mixed with those of the partners") {
  Comparison mixed(false);
  for (const int64_t classes : {1, 5, 300}) {
    for (const bool multi_label : {false, true}) {
      for (const float share : {-1.0f, 0.0f, 0.1f, 1.0f}) {
        const int64_t batch = 5;
        RandomStream random(5, RandomPurpose::kNoise);
        Guarded<int32_t> labels(multi_label ? 0 : batch);
        Guarded<uint8_t> label_rows(multi_label ? batch * classes : 0);
        for (int64_t i = 0; i < labels.size(); ++i) {
          labels[i] = static_cast<int32_t>(pick(random, 0, classes - 1));
        }
        for (int64_t i = 0; i < label_rows.size(); ++i) {
          label_rows[i] = static_cast<uint8_t>(random.below(2));
        }
        Guarded<int32_t> partners(share < 0 ? 0 : batch);
        const int32_t rows[] = {1, 2, 3, 0, 4};
        if (share >= 0) std::copy(rows, rows + batch, partners.data());
        Guarded<float> share_of_own(1), targets(batch * classes);
        share_of_own[0] = share;
        run_checked({&labels, &label_rows, &partners, &share_of_own}, {&targets}, [&] {
          device::run(MixTargets{.labels = labels.or_null(),
                                 .label_rows = label_rows.or_null(),
                                 .partners = partners.or_null(),
                                 .share = share_of_own.data(),
                                 .targets = targets.data(),
                                 .batch = batch,
                                 .classes = classes});
        });
        for (int64_t n = 0; n < batch; ++n) {
          for (int64_t c = 0; c < classes; ++c) {
            const auto label = [&](int64_t row) -> double {
              return multi_label ? label_rows[row * classes + c] : labels[row] == c;
            };
            const double got = targets[n * classes + c];
            if (share < 0) {
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

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: a moved image read beyond its edge
//   - value < size ? value : size - 1
//   + value
// cpu: a mirror off by one
//   - width - 1 - x
//   + width - x
// cpu: shuffled values normalised by the channel they go to
//   - levels[channel][value]
//   + levels[c][value]
// cpu: mixed before the share is known
//   - const float share = call.partners ?
//   + const float share = !call.partners ?
// cpu: the end of an image not looked at
//   - area - first < kThreads ? area - first : kThreads
//   + kThreads
// cpu: a view that shows the image of its row
//   - image = view.image
//   + image = n
// cpu: targets mixed with themselves
//   - target_of(call, call.partners[n], c)
//   + target_of(call, n, c)
// asan: pixels after the last
//   - if (at < area) {
//   + if (true) {
// clang-format on
