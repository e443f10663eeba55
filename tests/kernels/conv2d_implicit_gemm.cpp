// The implicit-GEMM convolution against the definition summed in double, over the geometries of the
// networks with fewer pixels and channels.
#include "kernels/conv2d/implicit_gemm.h"

#include "tests/support/conv2d_shape.h"
#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

// batch, height, width, in_channels, out_channels, kernel height, kernel width, stride, padding
const Conv2dShape kShapes[] = {
    // Edges of tiles, taps and images.
    {1, 1, 1, 1, 1, 1, 1, 1, 0},
    {1, 1, 1, 1, 1, 3, 3, 1, 1},
    {3, 1, 1, 17, 5, 1, 1, 1, 0},
    {1, 7, 5, 3, 5, 3, 3, 1, 1},
    {2, 9, 11, 5, 17, 3, 3, 2, 1},
    {1, 8, 8, 16, 64, 1, 1, 1, 0},   // one whole tile
    {1, 5, 13, 33, 65, 1, 1, 1, 0},  // one more of everything
    {1, 9, 10, 8, 16, 5, 3, 3, 2},
    {2, 5, 4, 3, 9, 1, 1, 1, 1},
    {1, 6, 6, 4, 4, 2, 2, 2, 0},
    {1, 2, 2, 3, 4, 5, 5, 1, 2},
    {2, 33, 33, 2, 3, 1, 1, 1, 0},  // two chunks of pixels
    // ResNet-20 and ResNet-18 for 32x32 images.
    {1, 8, 8, 3, 16, 3, 3, 1, 1},
    {1, 8, 8, 16, 16, 3, 3, 1, 1},
    {1, 8, 8, 16, 32, 3, 3, 2, 1},
    {1, 8, 8, 16, 32, 1, 1, 2, 0},
    {2, 4, 4, 64, 64, 3, 3, 1, 1},
    // ResNet-50, 224x224.
    {1, 21, 21, 3, 64, 7, 7, 2, 3},
    {1, 7, 7, 64, 64, 3, 3, 1, 1},
    {1, 7, 7, 64, 256, 1, 1, 1, 0},
    {1, 7, 7, 256, 64, 1, 1, 1, 0},
    {1, 7, 7, 32, 32, 3, 3, 2, 1},
    {1, 7, 7, 128, 96, 1, 1, 2, 0},
};

// What the definition makes of the numbers, and of their absolute values.
struct Oracle {
  std::vector<double> values, magnitudes;
};

// compute(first operand, second operand, result) is a naive convolution in double.
template <class T, class Compute>
Oracle oracle(const Guarded<T>& a, const Guarded<T>& b, int64_t size, const Compute& compute) {
  std::vector<double> a_values, b_values;
  for (int64_t i = 0; i < a.size(); ++i) a_values.push_back(to_float(a[i]));
  for (int64_t i = 0; i < b.size(); ++i) b_values.push_back(to_float(b[i]));
  Oracle result{std::vector<double>(static_cast<size_t>(size)),
                std::vector<double>(static_cast<size_t>(size))};
  compute(a_values.data(), b_values.data(), result.values.data());
  for (double& value : a_values) value = std::abs(value);
  for (double& value : b_values) value = std::abs(value);
  compute(a_values.data(), b_values.data(), result.magnitudes.data());
  return result;
}

// `before` holds what the result is added to.
template <class T>
void compare(const Guarded<T>& got, const Guarded<T>& before, bool accumulate, const Oracle& want,
             Comparison& comparison, const std::string& what) {
  for (int64_t i = 0; i < got.size(); ++i) {
    const double start = accumulate ? to_float(before[i]) : 0;
    const double value = want.values[static_cast<size_t>(i)] + start;
    double magnitude = want.magnitudes[static_cast<size_t>(i)] + std::abs(start);
    // Half a unit in the last place of bfloat16.
    if (std::is_same_v<T, Bf16>) magnitude += 0x1p13 * std::abs(value);
    comparison.value(to_float(got[i]), value, magnitude);
  }
  comparison.check(what);
}

template <class T>
void check_shape(const Conv2dShape& s, Values values, Comparison& comparison) {
  const auto numbers = [&](int64_t size, uint32_t seed) {
    return stored<T>(filled<float>(size, values, seed));
  };
  Guarded<T> x = numbers(s.x_size(), 1), w = numbers(s.w_size(), 2);
  Guarded<T> dy = numbers(s.y_size(), 3), y(s.y_size());
  run_checked({&x, &w}, {&y}, [&] {
    device::run(ImplicitGemm<Conv2dForward<T>>{{s, x.data(), w.data(), y.data(), nullptr}});
  });
  const Oracle want_y =
      oracle(x, w, s.y_size(), [&](const double* a, const double* b, double* out) {
        cpu::conv2d_forward_naive(Conv2dForward<double>{s, a, b, out, nullptr});
      });
  compare(y, y, false, want_y, comparison, "forward, " + name(s));

  Guarded<T> bias = numbers(s.out_channels, 6);
  Guarded<T> residual = numbers(s.batch % 2 == 1 ? s.y_size() : 0, 7);
  const bool relu = s.height % 2 == 1;
  run_checked({&x, &w, &bias, &residual}, {&y}, [&] {
    device::run(ImplicitGemm<Conv2dForward<T>>{
        {s, x.data(), w.data(), y.data(), nullptr, bias.data(), residual.or_null(), relu}});
  });
  Oracle want_z = want_y;
  for (int64_t i = 0; i < s.y_size(); ++i) {
    const double added = to_float(bias[i % s.out_channels]),
                 more = residual.size() > 0 ? to_float(residual[i]) : 0;
    double& value = want_z.values[static_cast<size_t>(i)];
    value += added + more;
    if (relu) value = std::max(value, 0.0);
    want_z.magnitudes[static_cast<size_t>(i)] += std::abs(added) + std::abs(more);
  }
  compare(y, y, false, want_z, comparison, "forward with an epilogue, " + name(s));

  const bool accumulate = s.in_channels % 2 == 1;
  Guarded<T> dx = accumulate ? numbers(s.x_size(), 4) : Guarded<T>(s.x_size());
  const Guarded<T> dx_before = dx;
  run_checked({&dy, &w}, {&dx}, [&] {
    device::run(ImplicitGemm<Conv2dBackwardData<T>>{
        {s, dy.data(), w.data(), dx.data(), accumulate, nullptr}});
  });
  const Oracle want_dx =
      oracle(dy, w, s.x_size(), [&](const double* a, const double* b, double* out) {
        cpu::conv2d_backward_data_naive(Conv2dBackwardData<double>{s, a, b, out, false, nullptr});
      });
  compare(dx, dx_before, accumulate, want_dx, comparison, "backward data, " + name(s));

  Guarded<float> dw = output<float>(s.w_size(), accumulate, values, 5);
  const Guarded<float> dw_before = dw;
  ImplicitGemm<Conv2dBackwardWeights<T>> gemm{
      {s, x.data(), dy.data(), dw.data(), accumulate, nullptr}};
  Guarded<float> partials(gemm.partials_size());
  gemm.call.workspace = partials.data();
  run_checked({&x, &dy}, {&dw, &partials}, [&] { device::run(gemm); });
  const Oracle want_dw =
      oracle(x, dy, s.w_size(), [&](const double* a, const double* b, double* out) {
        cpu::conv2d_backward_weights_naive(
            Conv2dBackwardWeights<double>{s, a, b, out, false, nullptr});
      });
  compare(dw, dw_before, accumulate, want_dw, comparison, "backward weights, " + name(s));
}

// The numbers that a thread brings to shared memory, in all blocks.
int64_t work(const Conv2dShape& s) {
  const int64_t tiles = (s.y_size() / s.out_channels + 63) / 64 * ((s.out_channels + 63) / 64);
  return tiles * s.kernel_height * s.kernel_width * ((s.in_channels + 15) / 16) * 256;
}

}  // namespace

TEST_CASE("the implicit-GEMM convolution is exact on small integers") {
  Comparison comparison(true);
  for (const Conv2dShape& shape : kShapes) {
    if (too_large(work(shape) / 2)) continue;
    check_shape<float>(shape, Values::kIntegers, comparison);
  }
}

TEST_CASE("the implicit-GEMM convolution is within the tolerance on random numbers") {
  Comparison single(false), half(false);
  for (const Conv2dShape& shape : kShapes) {
    if (too_large(work(shape) / 2)) continue;
    check_shape<float>(shape, shape.batch == 1 ? Values::kNormal : Values::kPositive, single);
    check_shape<Bf16>(shape, Values::kNormal, half);
  }
  single.report("implicit-GEMM convolution");
  half.report("implicit-GEMM convolution of bfloat16");
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: padding read from the next row
//   - w < 0 || w >= s.width)
//   + w < 0)
// cpu: a stride that is not looked at
//   - h % s.stride != 0 || w % s.stride != 0
//   + h % s.stride != 0
// cpu: a chunk that runs into the next
//   - min(begin + gemm.kChunk, gemm.pixels())
//   + gemm.pixels()
// cpu: the last chunk left out
//   - chunk < chunks; ++chunk
//   + chunk + 1 < chunks; ++chunk
// cpu: a sum in bfloat16
//   - sums_[i][j].add(step[i][j]);
//   + sums_[i][j].add(to_float(to_bf16(step[i][j])));
// cpu: the residual of the first pixel
//   - load(call.residual + place, count
//   + load(call.residual + column, count
// clang-format on
