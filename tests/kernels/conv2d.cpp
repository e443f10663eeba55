// Convolution on the CPU against its definition summed in double: small integers, random numbers
// with derived tolerances, accumulation, any number of threads.
#include "kernels/conv2d/call.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/base/parallel.h"
#include "kernels/base/random.h"
#include "kernels/conv2d/winograd.h"
#include "tests/support/conv2d_case.h"
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

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

// Uniform in [-1, 1), or whole numbers in [-3, 3].
Guarded<float> drawn(int64_t size, bool integers, uint32_t seed) {
  RandomStream random(seed, RandomPurpose::kNoise);
  Guarded<float> values(size);
  for (int64_t i = 0; i < size; ++i) {
    values[i] = integers ? static_cast<float>(random.below(7)) - 3.0f : random.uniform(-1.0f, 1.0f);
  }
  return values;
}

// Values [outer, channels, inner] restricted to channels first .. first + count, in double.
std::vector<double> slice(const Guarded<float>& values, int64_t channels, int64_t inner,
                          int64_t first, int64_t count) {
  std::vector<double> result;
  for (int64_t o = 0; o < values.size() / (channels * inner); ++o) {
    const float* from = values.data() + (o * channels + first) * inner;
    result.insert(result.end(), from, from + count * inner);
  }
  return result;
}
std::vector<double> exact(const Guarded<float>& values) {
  return slice(values, 1, 1, 0, 1);
}

template <class Call>
void run_on_cpu(const Call& call, std::initializer_list<GuardedBytes*> inputs,
                Guarded<float>& output) {
  run_with_workspace(
      call, inputs, output, [](const Call& each) { return each.workspace_bytes(); },
      [](const Call& each) { cpu::run(each); });
}

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

// Of the direct convolutions, and of those by Winograd.
struct Worst {
  double ratio[2] = {};     // error / tolerance of one value
  double relative[2] = {};  // relative L2 error of one tensor
};

// Runs one direction of one shape in all modes. The tolerance is factor * 2^-24 * sum|a b|: 8 for
// sums in single precision, 16 where Winograd's transforms magnify their rounding, with the largest
// sum of the tile; integers are exact where no Winograd is. Of large layers, the definition of all
// channels would take long.
template <class Direction>
void check(const Conv2dShape& s, bool integers, uint32_t seed, Worst& worst) {
  const std::string shape_name = name(s);
  CAPTURE(shape_name);
  Guarded<float> a = drawn(Direction::first(s), integers, 3 * seed),
                 b = drawn(Direction::second(s), integers, 3 * seed + 1);
  const Guarded<float> start = drawn(Direction::output(s), integers, 3 * seed + 2);

  const bool winograd = cpu::winograd_suits(s);
  Conv2dShape part = s;
  const int64_t channels = Direction::channels(part), inner = Direction::output_inner(s);
  const int64_t checked = s.flops() < 2e7 ? channels : std::min<int64_t>(channels, 3);
  const int64_t first_channel = seed % (channels - checked + 1);
  Direction::channels(part) = checked;
  set_threads(2);
  const std::vector<double> first = exact(a);
  const std::vector<double> second =
      slice(b, channels, Direction::second_inner(s), first_channel, checked);
  const std::vector<double> expected = defined<Direction>(part, first, second);
  std::vector<double> magnitude = defined<Direction>(part, magnitudes(first), magnitudes(second));
  if (winograd && inner == 1) {
    constexpr bool kForward = std::is_same_v<Direction, Forward>;
    spread_over_tiles(magnitude, s.batch, kForward ? s.out_height() : s.height,
                      kForward ? s.out_width() : s.width, checked);
  }

  for (const bool accumulate : {false, true}) {
    if (accumulate && !Direction::kAccumulates) continue;
    Guarded<float> out = accumulate ? start : Guarded<float>(start.size());
    run_on_cpu(Direction::call(s, a.data(), b.data(), out.data(), accumulate), {&a, &b}, out);
    int64_t unwritten = 0;
    for (int64_t i = 0; i < out.size(); ++i) unwritten += std::isnan(out[i]);
    CHECK_MESSAGE(unwritten == 0, unwritten, " values not written, accumulate ", accumulate);
    const std::vector<double> got = slice(out, channels, inner, first_channel, checked);
    const std::vector<double> begin = slice(start, channels, inner, first_channel, checked);
    int64_t wrong = 0;
    double squared_error = 0, squares = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double before = accumulate ? begin[i] : 0.0;
      const double value = expected[i] + before, error = std::abs(got[i] - value);
      squared_error += error * error;
      squares += value * value;
      const double tolerance =
          integers && !winograd ? 0
                                : (winograd ? 16 : 8) * 0x1p-24 * (magnitude[i] + std::abs(before));
      wrong += !(error <= tolerance);
      if (tolerance > 0) {
        worst.ratio[winograd] = std::max(worst.ratio[winograd], error / tolerance);
      }
    }
    CHECK_MESSAGE(wrong == 0, wrong, " wrong values of ", got.size(), ", accumulate ", accumulate);
    if (squares > 0) {
      worst.relative[winograd] =
          std::max(worst.relative[winograd], std::sqrt(squared_error / squares));
    }
  }
}

template <class Direction>
void check_all(bool integers) {
  Worst worst;
  uint32_t seed = 1;
  for (const Conv2dShape& s : kShapes) {
    if (kSlim && s.flops() > 1e7 && s.flops() != kWidest.flops()) continue;
    check<Direction>(s, integers, seed++, worst);
  }
  MESSAGE("direct: worst error / tolerance ", worst.ratio[0], ", relative L2 error ",
          worst.relative[0], "; Winograd: ", worst.ratio[1], ", ", worst.relative[1]);
  CHECK(worst.relative[0] <= 4e-7);
  CHECK(worst.relative[1] <= 2e-6);
  CHECK(worst.ratio[1] > 0.02);  // else the tolerance tests nothing
  if (!integers) CHECK(worst.ratio[0] > 0.02);
}

}  // namespace

TEST_CASE_TEMPLATE("conv2d against its definition", Direction, Forward, BackwardData,
                   BackwardWeights) {
  check_all<Direction>(true);
  check_all<Direction>(false);
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
    Guarded<float> x = drawn(s.x_size(), false, ++seed), w = drawn(s.w_size(), false, ++seed),
                   bias = drawn(s.out_channels, false, ++seed),
                   residual = drawn(s.y_size(), false, ++seed);
    // As large as the sums, so that a ReLU cuts some because of them.
    const float scale = std::sqrt(static_cast<float>(s.w_size() / s.out_channels));
    for (int64_t i = 0; i < bias.size(); ++i) bias[i] *= scale;
    for (int64_t i = 0; i < residual.size(); ++i) residual[i] *= scale;
    const auto xs = exact(x), ws = exact(w), biases = exact(bias), residuals = exact(residual);
    const bool winograd = cpu::winograd_suits(s);
    set_threads(2);
    std::vector<double> magnitude = defined<Forward>(s, magnitudes(xs), magnitudes(ws));
    if (winograd) {
      spread_over_tiles(magnitude, s.batch, s.out_height(), s.out_width(), s.out_channels);
    }
    for (int options = 0; options < 4; ++options) {
      const bool with_residual = options & 1, relu = options & 2;
      set_threads(2);
      std::vector<double> want(magnitude.size());
      cpu::run(Conv2dForward<double>{.shape = s,
                                     .x = xs.data(),
                                     .w = ws.data(),
                                     .y = want.data(),
                                     .bias = biases.data(),
                                     .residual = with_residual ? residuals.data() : nullptr,
                                     .relu = relu});
      Guarded<float> y(s.y_size());
      run_on_cpu(Conv2dForward<float>{.shape = s,
                                      .x = x.data(),
                                      .w = w.data(),
                                      .y = y.data(),
                                      .bias = bias.data(),
                                      .residual = with_residual ? residual.data() : nullptr,
                                      .relu = relu},
                 {&x, &w, &bias, &residual}, y);
      int64_t wrong = 0, cut = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        const double terms = magnitude[i] + std::abs(biases[i % biases.size()]) +
                             (with_residual ? std::abs(residuals[i]) : 0);
        const double tolerance = (winograd ? 16 : 8) * 0x1p-24 * terms;
        const double got = y[static_cast<int64_t>(i)], error = std::abs(got - want[i]);
        wrong += !(error <= tolerance);
        cut += got == 0;
        worst[winograd] = std::max(worst[winograd], error / tolerance);
      }
      CHECK_MESSAGE(wrong == 0, wrong, " wrong values, residual ", with_residual, ", relu ", relu);
      CHECK((cut > 0) == relu);
    }
  }
  MESSAGE("worst error / tolerance: direct ", worst[0], ", Winograd ", worst[1]);
  CHECK(std::min(worst[0], worst[1]) > 0.02);
}

TEST_CASE("gradient of conv2d, also of an input that is used twice") {
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
