// Convolution on the CPU against its definition summed in double: small integers, random numbers
// with derived tolerances, sentinels around every buffer, accumulation, any number of threads.
#include "kernels/conv2d/call.h"
#include "kernels/device/declarations.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/base/parallel.h"
#include "kernels/base/random.h"
#include "kernels/conv2d/winograd.h"
#include "tests/support/conv2d_shape.h"
#include "tests/support/op_gradient.h"

namespace {

using basin::Conv2dBackwardData;
using basin::Conv2dBackwardWeights;
using basin::Conv2dForward;
using basin::Conv2dShape;
using basin::test::name;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSlim = true;  // the instrumented loops are slow: leave the largest layers out
#else
constexpr bool kSlim = false;
#endif

// The smallest convolution that Winograd computes by panels of output channels.
constexpr Conv2dShape kWidest{1, 16, 16, 256, 256, 3, 3, 1, 1};

// batch, height, width, in_channels, out_channels, kernel height, kernel width, stride, padding
const Conv2dShape kShapes[] = {
    // Edges of the implementation.
    {1, 1, 1, 1, 1, 1, 1, 1, 0},
    {1, 1, 1, 1, 1, 3, 3, 1, 1},
    {3, 1, 1, 17, 5, 1, 1, 1, 0},
    {1, 7, 5, 3, 5, 3, 3, 1, 1},
    {2, 9, 11, 5, 17, 3, 3, 2, 1},
    {1, 8, 8, 17, 33, 3, 3, 1, 1},
    {2, 6, 9, 33, 17, 3, 3, 1, 1},
    {1, 13, 6, 33, 3, 3, 3, 1, 1},
    {2, 7, 7, 33, 35, 1, 1, 1, 0},
    {2, 7, 9, 32, 48, 1, 1, 2, 0},
    {1, 8, 8, 5, 7, 1, 1, 2, 0},
    {1, 15, 13, 3, 17, 7, 7, 2, 3},
    {2, 2, 3, 4, 6, 7, 7, 2, 3},
    {1, 2, 2, 3, 4, 5, 5, 1, 2},
    {1, 9, 8, 16, 24, 3, 3, 1, 0},
    {1, 7, 7, 32, 40, 3, 3, 1, 1},
    {1, 9, 10, 8, 16, 5, 3, 3, 2},
    {2, 5, 4, 3, 9, 1, 1, 1, 1},
    {1, 6, 6, 4, 4, 2, 2, 2, 0},
    {1, 5, 5, 16, 32, 3, 3, 1, 2},
    {3, 10, 10, 40, 72, 3, 3, 1, 1},
    {3, 11, 15, 48, 16, 3, 3, 1, 1},
    {2, 12, 16, 16, 80, 3, 3, 1, 0},
    {2, 11, 14, 32, 32, 3, 3, 1, 2},
    {1, 2, 2, 280, 300, 1, 1, 1, 0},
    {1, 5, 5, 40, 300, 3, 3, 2, 1},
    kWidest,
    // ResNet-20 for 32x32 images.
    {2, 32, 32, 3, 16, 3, 3, 1, 1},
    {2, 32, 32, 16, 16, 3, 3, 1, 1},
    {2, 32, 32, 16, 32, 3, 3, 2, 1},
    {2, 32, 32, 16, 32, 1, 1, 2, 0},
    {2, 16, 16, 32, 32, 3, 3, 1, 1},
    {2, 16, 16, 32, 64, 3, 3, 2, 1},
    {2, 16, 16, 32, 64, 1, 1, 2, 0},
    {4, 8, 8, 64, 64, 3, 3, 1, 1},
    // ResNet-18 for 32x32 images.
    {1, 32, 32, 3, 64, 3, 3, 1, 1},
    {1, 32, 32, 64, 64, 3, 3, 1, 1},
    {1, 32, 32, 64, 128, 3, 3, 2, 1},
    {1, 32, 32, 64, 128, 1, 1, 2, 0},
    {1, 16, 16, 128, 128, 3, 3, 1, 1},
    {1, 16, 16, 128, 256, 3, 3, 2, 1},
    {1, 16, 16, 128, 256, 1, 1, 2, 0},
    {4, 8, 8, 256, 256, 3, 3, 1, 1},
    {1, 8, 8, 256, 512, 3, 3, 2, 1},
    {1, 8, 8, 256, 512, 1, 1, 2, 0},
    {16, 4, 4, 512, 512, 3, 3, 1, 1},
    // ResNet-50, 224x224.
    {1, 224, 224, 3, 64, 7, 7, 2, 3},
    {1, 56, 56, 64, 64, 1, 1, 1, 0},
    {1, 56, 56, 64, 64, 3, 3, 1, 1},
    {1, 56, 56, 64, 256, 1, 1, 1, 0},
    {1, 56, 56, 256, 64, 1, 1, 1, 0},
    {1, 56, 56, 256, 128, 1, 1, 1, 0},
    {1, 56, 56, 128, 128, 3, 3, 2, 1},
    {1, 28, 28, 128, 512, 1, 1, 1, 0},
    {1, 56, 56, 256, 512, 1, 1, 2, 0},
    {1, 28, 28, 512, 128, 1, 1, 1, 0},
    {1, 28, 28, 128, 128, 3, 3, 1, 1},
    {1, 28, 28, 512, 256, 1, 1, 1, 0},
    {1, 28, 28, 256, 256, 3, 3, 2, 1},
    {1, 14, 14, 256, 1024, 1, 1, 1, 0},
    {1, 28, 28, 512, 1024, 1, 1, 2, 0},
    {1, 14, 14, 1024, 256, 1, 1, 1, 0},
    {1, 14, 14, 256, 256, 3, 3, 1, 1},
    {1, 14, 14, 1024, 512, 1, 1, 1, 0},
    {1, 14, 14, 512, 512, 3, 3, 2, 1},
    {1, 7, 7, 512, 2048, 1, 1, 1, 0},
    {1, 14, 14, 1024, 2048, 1, 1, 2, 0},
    {1, 7, 7, 2048, 512, 1, 1, 1, 0},
    {4, 7, 7, 512, 512, 3, 3, 1, 1},
};

// 64-byte aligned values with sentinels before and after them.
class Guarded {
 public:
  explicit Guarded(int64_t size)
      : size_(size), all_(static_cast<size_t>(size) + 2 * kGuard + kAlign, kSentinel) {
    offset_ = kGuard;
    while (reinterpret_cast<uintptr_t>(all_.data() + offset_) % 64 != 0) ++offset_;
    std::fill_n(data(), size, std::numeric_limits<float>::quiet_NaN());
  }
  Guarded(const Guarded& other) : Guarded(other.size_) { *this = other; }
  Guarded& operator=(const Guarded& other) {
    std::memcpy(data(), other.data(), size_ * sizeof(float));
    return *this;
  }
  float* data() { return all_.data() + offset_; }
  const float* data() const { return all_.data() + offset_; }
  int64_t size() const { return size_; }
  bool intact() const {
    for (int64_t i = 0; i < offset_; ++i) {
      if (all_[i] != kSentinel) return false;
    }
    for (size_t i = offset_ + size_; i < all_.size(); ++i) {
      if (all_[i] != kSentinel) return false;
    }
    return true;
  }
  bool operator==(const Guarded& other) const {
    return std::memcmp(data(), other.data(), size_ * sizeof(float)) == 0;
  }

 private:
  static constexpr int64_t kGuard = 64, kAlign = 16;
  static constexpr float kSentinel = -7.25e20f;
  int64_t size_, offset_;
  std::vector<float> all_;
};

// Values [outer, channels, inner] restricted to channels first .. first + count, in double.
std::vector<double> slice(const Guarded& values, int64_t outer, int64_t channels, int64_t inner,
                          int64_t first, int64_t count) {
  std::vector<double> result;
  for (int64_t o = 0; o < outer; ++o) {
    const float* from = values.data() + (o * channels + first) * inner;
    result.insert(result.end(), from, from + count * inner);
  }
  return result;
}

// The three calls behind one interface: (first input, second input) -> output. The oracle computes
// some channels of the output, [outer, channels, inner]: of large layers all would take long.
struct Forward {
  using Call = Conv2dForward<float>;
  static constexpr bool kAccumulates = false;
  static int64_t first(const Conv2dShape& s) { return s.x_size(); }
  static int64_t second(const Conv2dShape& s) { return s.w_size(); }
  static int64_t output(const Conv2dShape& s) { return s.y_size(); }
  static int64_t channels(const Conv2dShape& s) { return s.out_channels; }
  static int64_t inner(const Conv2dShape&) { return 1; }
  static Call call(const Conv2dShape& s, const float* a, const float* b, float* c, bool,
                   void* workspace) {
    return {s, a, b, c, workspace};
  }
  static std::vector<double> slice_first(const Conv2dShape& s, const Guarded& x, int64_t, int64_t) {
    return slice(x, s.x_size(), 1, 1, 0, 1);
  }
  static std::vector<double> slice_second(const Conv2dShape& s, const Guarded& w, int64_t channel,
                                          int64_t count) {
    return slice(w, 1, s.out_channels, s.w_size() / s.out_channels, channel, count);
  }
  static std::vector<double> oracle(Conv2dShape s, int64_t count, const double* a,
                                    const double* b) {
    s.out_channels = count;
    std::vector<double> y(s.y_size());
    basin::cpu::conv2d_forward_naive(Conv2dForward<double>{s, a, b, y.data(), nullptr});
    return y;
  }
};
struct BackwardData {
  using Call = Conv2dBackwardData<float>;
  static constexpr bool kAccumulates = true;
  static int64_t first(const Conv2dShape& s) { return s.y_size(); }
  static int64_t second(const Conv2dShape& s) { return s.w_size(); }
  static int64_t output(const Conv2dShape& s) { return s.x_size(); }
  static int64_t channels(const Conv2dShape& s) { return s.in_channels; }
  static int64_t inner(const Conv2dShape&) { return 1; }
  static Call call(const Conv2dShape& s, const float* a, const float* b, float* c, bool accumulate,
                   void* workspace) {
    return {s, a, b, c, accumulate, workspace};
  }
  static std::vector<double> slice_first(const Conv2dShape& s, const Guarded& dy, int64_t,
                                         int64_t) {
    return slice(dy, s.y_size(), 1, 1, 0, 1);
  }
  static std::vector<double> slice_second(const Conv2dShape& s, const Guarded& w, int64_t channel,
                                          int64_t count) {
    return slice(w, s.w_size() / s.in_channels, s.in_channels, 1, channel, count);
  }
  static std::vector<double> oracle(Conv2dShape s, int64_t count, const double* a,
                                    const double* b) {
    s.in_channels = count;
    std::vector<double> dx(s.x_size());
    basin::cpu::conv2d_backward_data_naive(
        Conv2dBackwardData<double>{s, a, b, dx.data(), false, nullptr});
    return dx;
  }
};
struct BackwardWeights {
  using Call = Conv2dBackwardWeights<float>;
  static constexpr bool kAccumulates = true;
  static int64_t first(const Conv2dShape& s) { return s.x_size(); }
  static int64_t second(const Conv2dShape& s) { return s.y_size(); }
  static int64_t output(const Conv2dShape& s) { return s.w_size(); }
  static int64_t channels(const Conv2dShape& s) { return s.out_channels; }
  static int64_t inner(const Conv2dShape& s) { return s.w_size() / s.out_channels; }
  static Call call(const Conv2dShape& s, const float* a, const float* b, float* c, bool accumulate,
                   void* workspace) {
    return {s, a, b, c, accumulate, workspace};
  }
  static std::vector<double> slice_first(const Conv2dShape& s, const Guarded& x, int64_t, int64_t) {
    return slice(x, s.x_size(), 1, 1, 0, 1);
  }
  static std::vector<double> slice_second(const Conv2dShape& s, const Guarded& dy, int64_t channel,
                                          int64_t count) {
    return slice(dy, s.y_size() / s.out_channels, s.out_channels, 1, channel, count);
  }
  static std::vector<double> oracle(Conv2dShape s, int64_t count, const double* a,
                                    const double* b) {
    s.out_channels = count;
    std::vector<double> dw(s.w_size());
    basin::cpu::conv2d_backward_weights_naive(
        Conv2dBackwardWeights<double>{s, a, b, dw.data(), false, nullptr});
    return dw;
  }
};

// Replaces each value of an image [batch, height, width, channels] by the largest of its 4x4 tile:
// the transforms spread the rounding errors of a tile over all of its outputs.
void spread_over_tiles(std::vector<double>& image, int64_t batch, int64_t height, int64_t width,
                       int64_t channels) {
  const std::vector<double> before = image;
  const auto place = [&](int64_t n, int64_t y, int64_t x, int64_t c) {
    return ((n * height + y) * width + x) * channels + c;
  };
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < channels; ++c) {
          double& largest = image[place(n, y, x, c)];
          for (int64_t v = y / 4 * 4; v < std::min(height, y / 4 * 4 + 4); ++v) {
            for (int64_t u = x / 4 * 4; u < std::min(width, x / 4 * 4 + 4); ++u) {
              largest = std::max(largest, before[place(n, v, u, c)]);
            }
          }
        }
      }
    }
  }
}

struct Worst {
  double ratio = 0;     // error / tolerance of one value
  double relative = 0;  // relative L2 error of one tensor
};

// Runs one direction of one shape in all modes. The tolerance is factor * 2^-24 * sum|a b|: 8 for
// sums in single precision, 16 where Winograd's transforms magnify their rounding, with the
// largest sum of the tile; integers are exact where no Winograd is.
template <class Direction>
void check(const Conv2dShape& s, bool integers, uint32_t seed, Worst worst[2]) {
  const std::string shape_name = name(s);
  CAPTURE(shape_name);
  basin::RandomStream random(seed, basin::RandomPurpose::kNoise);
  const auto draw = [&] {
    return integers ? static_cast<float>(random.below(7)) - 3.0f : random.uniform(-1.0f, 1.0f);
  };
  Guarded a(Direction::first(s)), b(Direction::second(s)), start(Direction::output(s));
  for (int64_t i = 0; i < a.size(); ++i) a.data()[i] = draw();
  for (int64_t i = 0; i < b.size(); ++i) b.data()[i] = draw();
  for (int64_t i = 0; i < start.size(); ++i) start.data()[i] = draw();
  const Guarded a_before = a, b_before = b;

  const bool winograd = basin::cpu::winograd_suits(s);
  const int64_t channels = Direction::channels(s), inner = Direction::inner(s);
  const int64_t checked = s.flops() < 2e7 ? channels : std::min<int64_t>(channels, 3);
  const int64_t first_channel = random.below(static_cast<uint32_t>(channels - checked + 1));
  basin::set_threads(2);
  std::vector<double> first = Direction::slice_first(s, a, first_channel, checked);
  std::vector<double> second = Direction::slice_second(s, b, first_channel, checked);
  const std::vector<double> expected = Direction::oracle(s, checked, first.data(), second.data());
  for (double& value : first) value = std::abs(value);
  for (double& value : second) value = std::abs(value);
  std::vector<double> magnitude = Direction::oracle(s, checked, first.data(), second.data());

  if (winograd && inner == 1) {
    constexpr bool kForward = std::is_same_v<Direction, Forward>;
    spread_over_tiles(magnitude, s.batch, kForward ? s.out_height() : s.height,
                      kForward ? s.out_width() : s.width, checked);
  }

  for (int accumulate = 0; accumulate <= (Direction::kAccumulates ? 1 : 0); ++accumulate) {
    Guarded first_result(Direction::output(s));
    for (int threads = 1; threads <= 3; ++threads) {
      basin::set_threads(threads);
      Guarded out(Direction::output(s));
      if (accumulate) out = start;
      auto call = Direction::call(s, a.data(), b.data(), out.data(), accumulate, nullptr);
      Guarded workspace(call.workspace_bytes() / int64_t{sizeof(float)});
      call.workspace = workspace.data();
      basin::cpu::run(call);
      REQUIRE(out.intact());
      REQUIRE(workspace.intact());
      REQUIRE(a.intact());
      REQUIRE(b.intact());
      CHECK(a == a_before);
      CHECK(b == b_before);
      if (threads == 1) {
        first_result = out;
      } else {
        CHECK_MESSAGE(out == first_result, "other bits with ", threads, " threads");
      }
    }
    int64_t unwritten = 0;
    for (int64_t i = 0; i < first_result.size(); ++i) {
      if (std::isnan(first_result.data()[i])) ++unwritten;
    }
    CHECK_MESSAGE(unwritten == 0, unwritten, " values not written, accumulate ", accumulate);
    int64_t wrong = 0, index = 0;
    double squared_error = 0, squares = 0;
    for (int64_t o = 0; o < first_result.size() / (channels * inner); ++o) {
      for (int64_t i = first_channel * inner; i < (first_channel + checked) * inner; ++i, ++index) {
        const int64_t place = o * channels * inner + i;
        const double begin = accumulate ? double(start.data()[place]) : 0.0;
        const double value = expected[index] + begin;
        const double error = std::abs(first_result.data()[place] - value);
        squared_error += error * error;
        squares += value * value;
        const double tolerance = integers && !winograd ? 0
                                                       : (winograd ? 16 : 8) * 0x1p-24 *
                                                             (magnitude[index] + std::abs(begin));
        if (!(error <= tolerance)) ++wrong;
        if (tolerance > 0)
          worst[winograd].ratio = std::max(worst[winograd].ratio, error / tolerance);
      }
    }
    CHECK_MESSAGE(wrong == 0, wrong, " wrong values of ", index, ", accumulate ", accumulate);
    if (squares > 0) {
      worst[winograd].relative =
          std::max(worst[winograd].relative, std::sqrt(squared_error / squares));
    }
  }
  basin::set_threads(1);
}

template <class Direction>
void check_all(bool integers) {
  Worst worst[2];
  uint32_t seed = 1;
  for (const Conv2dShape& s : kShapes) {
    if (kSlim && s.flops() > 1e7 && s.flops() != kWidest.flops()) continue;
    check<Direction>(s, integers, seed++, worst);
  }
  MESSAGE("direct: worst error / tolerance ", worst[0].ratio, ", relative L2 error ",
          worst[0].relative, "; Winograd: ", worst[1].ratio, ", ", worst[1].relative);
  CHECK(worst[0].relative <= 4e-7);
  CHECK(worst[1].relative <= 2e-6);
  CHECK(worst[1].ratio > 0.02);  // else the tolerance tests nothing
  if (!integers) CHECK(worst[0].ratio > 0.02);
}

}  // namespace

TEST_CASE("conv2d forward on small integers") {
  check_all<Forward>(true);
}
TEST_CASE("conv2d backward-data on small integers") {
  check_all<BackwardData>(true);
}
TEST_CASE("conv2d backward-weights on small integers") {
  check_all<BackwardWeights>(true);
}
TEST_CASE("conv2d forward on random numbers") {
  check_all<Forward>(false);
}
TEST_CASE("conv2d backward-data on random numbers") {
  check_all<BackwardData>(false);
}
TEST_CASE("conv2d backward-weights on random numbers") {
  check_all<BackwardWeights>(false);
}

TEST_CASE("conv2d forward with bias, residual and ReLU") {
  // Products of rows and of blocks of depth; odd channels; bands; Winograd by chunk and by panel.
  const Conv2dShape shapes[] = {
      {3, 1, 1, 17, 5, 1, 1, 1, 0},
      {2, 7, 7, 33, 35, 1, 1, 1, 0},
      {1, 2, 2, 280, 300, 1, 1, 1, 0},
      {2, 7, 9, 32, 48, 1, 1, 2, 0},
      {2, 9, 11, 5, 17, 3, 3, 2, 1},
      {2, 16, 16, 32, 64, 3, 3, 2, 1},
      {1, 8, 8, 17, 33, 3, 3, 1, 1},
      {1, 5, 5, 40, 300, 3, 3, 2, 1},
      {1, 15, 13, 3, 17, 7, 7, 2, 3},
      {3, 11, 15, 48, 16, 3, 3, 1, 1},
      {2, 32, 32, 16, 16, 3, 3, 1, 1},
      {2, 14, 14, 64, 64, 3, 3, 1, 1},
      kWidest,
  };
  double worst[2] = {};
  uint32_t seed = 100;
  for (const Conv2dShape& s : shapes) {
    const std::string shape_name = name(s);
    CAPTURE(shape_name);
    const auto drawn = [&](int64_t size) {
      basin::RandomStream random(++seed, basin::RandomPurpose::kNoise);
      Guarded values(size);
      for (int64_t i = 0; i < size; ++i) values.data()[i] = random.uniform(-1.0f, 1.0f);
      return values;
    };
    const auto exact = [](const Guarded& from) {
      return std::vector<double>(from.data(), from.data() + from.size());
    };
    const auto magnitudes = [](std::vector<double> values) {
      for (double& value : values) value = std::abs(value);
      return values;
    };
    Guarded x = drawn(s.x_size()), w = drawn(s.w_size()), bias = drawn(s.out_channels),
            residual = drawn(s.y_size());
    // As large as the sums, so that a ReLU cuts some because of them.
    const float scale = std::sqrt(static_cast<float>(s.w_size() / s.out_channels));
    for (int64_t i = 0; i < bias.size(); ++i) bias.data()[i] *= scale;
    for (int64_t i = 0; i < residual.size(); ++i) residual.data()[i] *= scale;
    const auto xs = exact(x), ws = exact(w), biases = exact(bias), residuals = exact(residual);
    const auto abs_x = magnitudes(xs), abs_w = magnitudes(ws), abs_bias = magnitudes(biases),
               abs_residual = magnitudes(residuals);
    const bool winograd = basin::cpu::winograd_suits(s);
    for (int options = 0; options < 4; ++options) {
      const bool with_residual = options & 1, relu = options & 2;
      basin::set_threads(2);
      std::vector<double> want(s.y_size()), magnitude(s.y_size());
      basin::cpu::conv2d_forward_naive(
          Conv2dForward<double>{s, xs.data(), ws.data(), want.data(), nullptr, biases.data(),
                                with_residual ? residuals.data() : nullptr, relu});
      basin::cpu::conv2d_forward_naive(
          Conv2dForward<double>{s, abs_x.data(), abs_w.data(), magnitude.data(), nullptr});
      if (winograd) {
        spread_over_tiles(magnitude, s.batch, s.out_height(), s.out_width(), s.out_channels);
      }
      Guarded first(s.y_size());
      for (int threads = 1; threads <= 3; ++threads) {
        basin::set_threads(threads);
        Guarded y(s.y_size());
        Conv2dForward<float> call{s,
                                  x.data(),
                                  w.data(),
                                  y.data(),
                                  nullptr,
                                  bias.data(),
                                  with_residual ? residual.data() : nullptr,
                                  relu};
        Guarded workspace((call.workspace_bytes() + 3) / 4);
        call.workspace = workspace.data();
        basin::cpu::run(call);
        REQUIRE(y.intact());
        REQUIRE(workspace.intact());
        if (threads == 1) first = y;
        CHECK(y == first);
      }
      int64_t wrong = 0, cut = 0;
      for (int64_t i = 0; i < s.y_size(); ++i) {
        const double terms =
            magnitude[i] + abs_bias[i % s.out_channels] + (with_residual ? abs_residual[i] : 0);
        const double tolerance = (winograd ? 16 : 8) * 0x1p-24 * terms;
        const double error = std::abs(first.data()[i] - want[i]);
        wrong += !(error <= tolerance);
        cut += first.data()[i] == 0;
        worst[winograd] = std::max(worst[winograd], error / tolerance);
      }
      CHECK_MESSAGE(wrong == 0, wrong, " wrong values, residual ", with_residual, ", relu ", relu);
      CHECK((cut > 0) == relu);
    }
  }
  basin::set_threads(1);
  MESSAGE("worst error / tolerance: direct ", worst[0], ", Winograd ", worst[1]);
  CHECK(std::min(worst[0], worst[1]) > 0.02);
}

TEST_CASE("gradient of conv2d, also of an input that is used twice") {
  using namespace basin;
  using namespace basin::test;
  struct Case {
    Shape x, weight;
    int64_t stride, padding;
  };
  for (const Case& c :
       {Case{{1, 1, 1, 1}, {1, 1, 1, 1}, 1, 0}, Case{{2, 5, 4, 3}, {4, 3, 3, 3}, 1, 1},
        Case{{1, 7, 6, 2}, {3, 3, 3, 2}, 2, 1}, Case{{3, 5, 5, 3}, {5, 1, 1, 3}, 2, 0},
        Case{{1, 9, 8, 1}, {2, 7, 7, 1}, 2, 3}, Case{{2, 3, 3, 17}, {1, 1, 1, 17}, 1, 0}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", c.x), weight = inputs.add("weight", c.weight);
    inputs.allocate();
    const auto op = [&](Tape& tape) { return conv2d(tape, x, weight, c.stride, c.padding); };
    inputs.check("conv2d " + c.x.text() + c.weight.text(), op);
    inputs.check_twice("conv2d " + c.x.text() + c.weight.text(), op);
  }
}
