// Pooling against its definition: maxima and their places exactly, averages within the derived
// tolerance.
#include "kernels/pool/call.h"

#include "kernels/base/check.h"
#include "tests/support/bf16_case.h"
#include "tests/support/kernel_case.h"
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

struct PoolShape {
  int64_t batch, height, width, channels;
  std::string text() const { return concat(batch, "x", height, "x", width, "x", channels); }
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
  MaxPoolForward<float> call{x, y, index, s.batch, s.height, s.width, s.channels};
  REQUIRE(call.out_height() == oh);
  REQUIRE(call.out_width() == ow);
  run_call({&x}, {&y, &index}, call);
  call.y = without_index;
  call.index = nullptr;
  run_call({&x}, {&without_index}, call);
  Guarded<float> dy = filled<float>(out_size, Values::kIntegers, 2);
  Guarded<float> dx = output<float>(in_size, accumulate, Values::kIntegers, 3);
  std::vector<float> want_dx(dx.data(), dx.data() + in_size);
  if (!accumulate) std::fill(want_dx.begin(), want_dx.end(), 0.0f);
  run_call(
      {&dy, &index}, {&dx},
      MaxPoolBackward<float>{dy, index, {dx, accumulate}, s.batch, s.height, s.width, s.channels});
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
  run_call({&x}, {&y}, AveragePoolForward<float>{x, y, batch, area, channels});
  Guarded<float> dy = filled<float>(batch * channels, values, 2);
  Guarded<float> dx = output<float>(x.size(), accumulate, values, 3);
  const Guarded<float> start = dx;
  run_call({&dy}, {&dx}, AveragePoolBackward<float>{dy, {dx, accumulate}, batch, area, channels});
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
  const std::string what = concat(batch, "x", area, "x", channels, " of ", name_of(values));
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
  device::run(MaxPoolForward<float>{x, y, index, 1, 2, 2, 1});
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

#ifdef BASIN_TEST_ON_DEVICE
TEST_CASE("pooling of bfloat16") {
  StorageComparison maxima("max"), averages("average");
  for (int64_t channels : {1, 8, 13, 64}) {
    constexpr int64_t kSide = 5, kOut = 3;
    const int64_t size = kSide * kSide * channels, out_size = kOut * kOut * channels;
    Numbers x(size, 1), y(out_size), dy(out_size, 2), dx(size, 3), mean(channels),
        dmean(channels, 4), spread(size);
    Twice<uint8_t> index(out_size);
    in_both_types([&]<class T>(T) {
      run_checked(
          {&of<T>(x), &of<T>(dy), &of<T>(dmean)},
          {&of<T>(y), &of<T>(index), &of<T>(dx), &of<T>(mean), &of<T>(spread)}, [&] {
            device::run(
                MaxPoolForward<T>{of<T>(x), of<T>(y), of<T>(index), 1, kSide, kSide, channels});
            device::run(MaxPoolBackward<T>{
                of<T>(dy), of<T>(index), {of<T>(dx), true}, 1, kSide, kSide, channels});
            device::run(AveragePoolForward<T>{of<T>(x), of<T>(mean), 1, kSide * kSide, channels});
            device::run(
                AveragePoolBackward<T>{of<T>(dmean), {of<T>(spread)}, 1, kSide * kSide, channels});
          });
    });
    CHECK(index.half.bytes == index.single.bytes);
    maxima.results(y, 0);
    maxima.results(dx, 10);
    averages.results(mean, 1);
    averages.results(spread, 1);
  }
}
#else
TEST_CASE("gradients of the pools, also of an input that is used twice") {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 5, 4, 3}, Shape{1, 6, 7, 2},
                             Shape{1, 5, 6, 2}, Shape{3, 2, 3, 65}, Shape{2, 4, 4, 2}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", shape);
    inputs.allocate();
    const auto average = [&](Tape& tape) { return global_average_pool(tape, x); };
    inputs.check("global_average_pool " + shape.text(), average);
    inputs.check_twice("global_average_pool " + shape.text(), average);
    space_out(x);
    const auto max = [&](Tape& tape) { return max_pool(tape, x); };
    inputs.check("max_pool " + shape.text(), max);
    inputs.check_twice("max_pool " + shape.text(), max);
  }
}
#endif

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
// asan: windows past the last
//   - && p < oh; ++p
//   + ; ++p
// clang-format on
