// Pooling against its definition: maxima and their places exactly, averages within the derived
// tolerance.
#include "kernels/pool/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

struct PoolShape {
  int64_t batch, height, width, channels;
  std::string text() const {
    return std::to_string(batch) + "x" + std::to_string(height) + "x" + std::to_string(width) +
           "x" + std::to_string(channels);
  }
};

const PoolShape kShapes[] = {{1, 1, 1, 1},  {1, 1, 1, 17},  {1, 2, 3, 3},    {2, 5, 7, 5},
                             {3, 8, 8, 16}, {1, 9, 4, 65},  {2, 16, 15, 64}, {1, 3, 3, 100},
                             {2, 1, 9, 3},  {1, 33, 17, 17}};

// Forward and backward of the max pool on one shape. Small integers have many ties.
void check_max_pool(const PoolShape& s, Values values, bool accumulate) {
  const int64_t oh = (s.height + 1) / 2, ow = (s.width + 1) / 2;
  const int64_t in_size = s.batch * s.height * s.width * s.channels;
  const int64_t out_size = s.batch * oh * ow * s.channels;
  Guarded<float> x = filled<float>(in_size, values, 1);
  Guarded<float> y(out_size), without_index(out_size);
  Guarded<uint8_t> index(out_size);
  MaxPoolForward<float> forward{nullptr, nullptr, nullptr, s.batch, s.height, s.width, s.channels};
  REQUIRE(forward.out_height() == oh);
  REQUIRE(forward.out_width() == ow);
  run_checked({&x}, {&y, &index, &without_index}, [&] {
    forward.x = x.data();
    forward.y = y.data();
    forward.index = index.data();
    device::run(forward);
    forward.y = without_index.data();
    forward.index = nullptr;
    device::run(forward);
  });
  Guarded<float> dy = filled<float>(out_size, Values::kIntegers, 2);
  Guarded<float> dx = output<float>(in_size, accumulate, Values::kIntegers, 3);
  std::vector<float> want_dx(dx.data(), dx.data() + in_size);
  if (!accumulate) std::fill(want_dx.begin(), want_dx.end(), 0.0f);
  run_checked({&dy, &index}, {&dx}, [&] {
    device::run(MaxPoolBackward<float>{
        dy.data(), index.data(), {dx.data(), accumulate}, s.batch, s.height, s.width, s.channels});
  });
  int64_t wrong = 0;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t p = 0; p < oh; ++p) {
      for (int64_t q = 0; q < ow; ++q) {
        for (int64_t c = 0; c < s.channels; ++c) {
          const int64_t out = ((n * oh + p) * ow + q) * s.channels + c;
          int place = -1;
          int64_t from = -1;
          for (int window = 0; window < 9; ++window) {
            const int64_t h = 2 * p - 1 + window / 3, w = 2 * q - 1 + window % 3;
            if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
            const int64_t in = ((n * s.height + h) * s.width + w) * s.channels + c;
            if (from < 0 || x[in] > x[from]) {
              from = in;
              place = window;
            }
          }
          wrong += y[out] != x[from] || index[out] != place || without_index[out] != x[from];
          want_dx[static_cast<size_t>(from)] += dy[out];
        }
      }
    }
  }
  for (int64_t i = 0; i < in_size; ++i) wrong += dx[i] != want_dx[static_cast<size_t>(i)];
  CHECK_MESSAGE(wrong == 0, wrong, " wrong values, shape ", s.text());
}

void check_average_pool(int64_t batch, int64_t area, int64_t channels, Values values,
                        bool accumulate, Comparison& forward, Comparison& backward) {
  Guarded<float> x = filled<float>(batch * area * channels, values, 1), y(batch * channels);
  run_checked({&x}, {&y}, [&] {
    device::run(AveragePoolForward<float>{x.data(), y.data(), batch, area, channels});
  });
  Guarded<float> dy = filled<float>(batch * channels, values, 2);
  Guarded<float> dx = output<float>(x.size(), accumulate, values, 3);
  const Guarded<float> start = dx;
  run_checked({&dy}, {&dx}, [&] {
    device::run(
        AveragePoolBackward<float>{dy.data(), {dx.data(), accumulate}, batch, area, channels});
  });
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, magnitude = 0;
      const double share = dy[n * channels + c] / double(area);
      for (int64_t i = 0; i < area; ++i) {
        const int64_t at = (n * area + i) * channels + c;
        sum += x[at];
        magnitude += std::abs(x[at]);
        const double before = accumulate ? start[at] : 0;
        backward.value(dx[at], before + share, std::abs(before) + std::abs(share));
      }
      forward.value(y[n * channels + c], sum / double(area), magnitude / double(area));
    }
  }
  const std::string what = std::to_string(batch) + "x" + std::to_string(area) + "x" +
                           std::to_string(channels) + " of " + name_of(values);
  forward.check("average pool forward, " + what);
  backward.check("average pool backward, " + what);
}

}  // namespace

TEST_CASE("max pool finds the first maximum of each window, and its gradient goes there") {
  for (const PoolShape& shape : kShapes) {
    if (too_large(shape.batch * shape.height * shape.width * shape.channels)) continue;
    for (bool accumulate : {false, true}) {
      check_max_pool(shape, Values::kIntegers, accumulate);
      check_max_pool(shape, Values::kNormal, accumulate);
    }
  }
}

TEST_CASE("max pool of negative numbers takes nothing from the padding") {
  Guarded<float> x(4), y(1);
  Guarded<uint8_t> index(1);
  const float values[] = {-3, -1, -2, -4};
  std::copy(values, values + 4, x.data());
  device::run(MaxPoolForward<float>{x.data(), y.data(), index.data(), 1, 2, 2, 1});
  CHECK(y[0] == -1);
  CHECK(index[0] == 5);  // row 1, column 2 of the window that starts at (-1, -1)
}

TEST_CASE("average pool is exact on small integers where the area is a power of two") {
  Comparison forward(true), backward(true);
  for (int64_t channels : {1, 3, 5, 16, 17, 64, 65, 100}) {
    for (int64_t area : {1, 4, 16, 64, 1024}) {
      if (too_large(area * channels)) continue;
      check_average_pool(2, area, channels, Values::kIntegers, area == 4, forward, backward);
    }
  }
}

TEST_CASE("average pool is within the tolerance on random numbers") {
  Comparison forward(false), backward(false);
  for (Values values : {Values::kNormal, Values::kPositive}) {
    for (int64_t channels : {1, 5, 64, 100}) {
      for (int64_t area : {3, 49, 63, 196, 3136}) {
        if (too_large(area * channels)) continue;
        check_average_pool(3, area, channels, values, area == 49, forward, backward);
      }
    }
  }
  forward.report("average pool forward");
  backward.report("average pool backward");
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: of equals the last
//   - x[k] > largest[k]
//   + x[k] >= largest[k]
// cpu: an index off by one
//   - h >= call.height
//   + h > call.height
// cpu: a return before a barrier
//   - if (channel < call.channels) {
//   + if (channel >= call.channels) return;
//   +   {
// asan: windows behind the last
//   - && p < oh; ++p
//   + ; ++p
// clang-format on
