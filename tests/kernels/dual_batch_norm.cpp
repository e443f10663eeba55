// Two batch normalisations, their sum and the ReLU against the formulas in double; on the CPU also
// against one normalisation after the other, bit by bit.
#include "kernels/dual_batch_norm/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

struct BatchShape {
  int64_t rows, channels;
  int64_t size() const { return rows * channels; }
};
const BatchShape kShapes[] = {{1, 1},   {2, 3},    {9, 5},    {64, 16},   {49, 17},
                              {75, 65}, {33, 100}, {600, 64}, {3001, 16}, {20000, 1}};

// One of the two. Of whole numbers, all steps are exact.
template <class T>
struct Input {
  Guarded<T> x;
  Guarded<float> mean, inverse_std, weight, bias;

  Input(const BatchShape& s, Values values, uint32_t seed)
      : x(stored<T>(filled<float>(s.size(), values, seed))),
        mean(filled<float>(s.channels, values, seed + 1)),
        inverse_std(filled<float>(s.channels, Values::kPositive, seed + 2)),
        weight(filled<float>(s.channels, values, seed + 3)),
        bias(filled<float>(s.channels, values, seed + 4)) {
    if (values != Values::kIntegers) return;
    for (int64_t c = 0; c < s.channels; ++c) inverse_std[c] = c % 2 == 0 ? 1.0f : 0.5f;
  }
  NormalisedInput<T> argument() const {
    return {x.data(), mean.data(), inverse_std.data(), weight.data(), bias.data()};
  }
  double xhat(int64_t i, int64_t c) const {
    return (double(to_float(x[i])) - mean[c]) * inverse_std[c];
  }
};

// The gradients of one of the two, and what was in their place.
template <class T>
struct Gradients {
  Guarded<T> dx;
  Guarded<float> dweight, dbias;

  Gradients(const BatchShape& s, bool wanted, bool accumulate, Values values, uint32_t seed)
      : dx(accumulate && wanted ? stored<T>(filled<float>(s.size(), values, seed))
                                : Guarded<T>(wanted ? s.size() : 0)),
        dweight(output<float>(s.channels, accumulate, values, seed + 1)),
        dbias(output<float>(s.channels, accumulate, values, seed + 2)) {}
  NormalisedInputGradients<T> argument(bool accumulate) {
    return {dx.or_null(), dweight.data(), dbias.data(), accumulate, accumulate, accumulate};
  }
};

template <class T>
double rounding(double value) {  // half a unit in the last place of bfloat16, as Comparison counts
  return std::is_same_v<T, Bf16> ? 0x1p13 * std::abs(value) : 0;
}

template <class T>
void check_input_gradients(const BatchShape& s, const Input<T>& input, const Gradients<T>& got,
                           const Gradients<T>& before, bool accumulate,
                           const std::vector<double>& dz, Comparison& sums, Comparison& elements) {
  const auto rows = static_cast<double>(s.rows);
  for (int64_t c = 0; c < s.channels; ++c) {
    double sum = 0, sum_x = 0, magnitude = 0, magnitude_x = 0;
    for (int64_t row = 0; row < s.rows; ++row) {
      const int64_t i = row * s.channels + c;
      const double value = dz[static_cast<size_t>(i)];
      sum += value;
      sum_x += value * input.xhat(i, c);
      magnitude += std::abs(value);
      magnitude_x += std::abs(value * input.xhat(i, c));
    }
    const double bias_start = accumulate ? before.dbias[c] : 0;
    const double weight_start = accumulate ? before.dweight[c] : 0;
    sums.value(got.dbias[c], bias_start + sum, std::abs(bias_start) + magnitude);
    sums.value(got.dweight[c], weight_start + sum_x, std::abs(weight_start) + magnitude_x);
    const double factor = double(input.weight[c]) * input.inverse_std[c];
    for (int64_t row = 0; row < s.rows && got.dx.size() > 0; ++row) {
      const int64_t i = row * s.channels + c;
      const double value = dz[static_cast<size_t>(i)], xhat = input.xhat(i, c);
      const double start = accumulate ? to_float(before.dx[i]) : 0;
      const double want = start + factor * (value - sum / rows - xhat * sum_x / rows);
      elements.value(to_float(got.dx[i]), want,
                     std::abs(start) +
                         std::abs(factor) * (std::abs(value) + magnitude / rows +
                                             std::abs(xhat) * magnitude_x / rows) +
                         rounding<T>(want));
    }
  }
}

template <class T>
void check(const BatchShape& s, Values values, int number, Comparison& forward, Comparison& sums,
           Comparison& elements) {
  Input<T> first(s, values, 10), second(s, values, 20);
  Guarded<T> y(s.size());
  run_checked({&first.x, &first.mean, &first.inverse_std, &first.weight, &first.bias, &second.x,
               &second.mean, &second.inverse_std, &second.weight, &second.bias},
              {&y}, [&] {
                device::run(DualBatchNormForward<T>{first.argument(), second.argument(), y.data(),
                                                    s.rows, s.channels});
              });
  for (int64_t i = 0; i < s.size(); ++i) {
    const int64_t c = i % s.channels;
    const double a = first.xhat(i, c) * first.weight[c], b = second.xhat(i, c) * second.weight[c];
    const double want = std::max(a + first.bias[c] + b + second.bias[c], 0.0);
    forward.value(to_float(y[i]), want,
                  std::abs(a) + std::abs(first.bias[c]) + std::abs(b) + std::abs(second.bias[c]) +
                      rounding<T>(want));
  }

  const bool accumulate = number % 2 == 1;
  Guarded<T> dy = stored<T>(filled<float>(s.size(), values, 30));
  Gradients<T> dfirst(s, number % 3 != 1, accumulate, values, 40),
      dsecond(s, number % 3 != 2, accumulate, values, 50);
  const Gradients<T> first_before = dfirst, second_before = dsecond;
  DualBatchNormBackward<T> backward{};
  backward.rows = s.rows;
  backward.channels = s.channels;
  Guarded<double> partials(backward.partials_size());
  run_checked({&y, &dy, &first.x, &first.mean, &first.inverse_std, &first.weight, &second.x,
               &second.mean, &second.inverse_std, &second.weight},
              {&dfirst.dx, &dfirst.dweight, &dfirst.dbias, &dsecond.dx, &dsecond.dweight,
               &dsecond.dbias, &partials},
              [&] {
                backward = {y.data(),
                            dy.data(),
                            first.argument(),
                            second.argument(),
                            dfirst.argument(accumulate),
                            dsecond.argument(accumulate),
                            partials.data(),
                            s.rows,
                            s.channels};
                device::run(backward);
              });
  std::vector<double> dz;
  for (int64_t i = 0; i < s.size(); ++i) dz.push_back(to_float(y[i]) > 0 ? to_float(dy[i]) : 0.0);
  check_input_gradients(s, first, dfirst, first_before, accumulate, dz, sums, elements);
  check_input_gradients(s, second, dsecond, second_before, accumulate, dz, sums, elements);
  const std::string what =
      std::to_string(s.rows) + "x" + std::to_string(s.channels) + " of " + name_of(values);
  forward.check("two batch norms, " + what);
  sums.check("two batch norms, parameter gradients, " + what);
  elements.check("two batch norms, input gradients, " + what);
}

template <class T>
void check_shapes(const char* type) {
  Comparison forward(false), sums(false), elements(false);
  int number = 0;
  for (const BatchShape& s : kShapes) {
    if (too_large(s.size())) continue;
    check<T>(s, Values::kNormal, number++, forward, sums, elements);
  }
  forward.report(std::string("two batch norms, ") + type);
  sums.report(std::string("two batch norms, parameter gradients, ") + type);
  elements.report(std::string("two batch norms, input gradients, ") + type);
}

}  // namespace

TEST_CASE("two batch norms, their sum and the ReLU are exact on small integers") {
  Comparison forward(true), sums(true), elements(true);
  int number = 0;
  for (const BatchShape& s : {BatchShape{1, 1}, {4, 17}, {16, 5}, {64, 65}, {2, 64}}) {
    if (too_large(s.size())) continue;
    check<float>(s, Values::kIntegers, number++, forward, sums, elements);
  }
}

TEST_CASE("two batch norms, their sum and the ReLU are within the tolerance") {
  check_shapes<float>("float");
#ifdef BASIN_TEST_ON_DEVICE
  check_shapes<Bf16>("bfloat16");
#endif
}

#ifndef BASIN_TEST_ON_DEVICE
TEST_CASE("two batch norms on the CPU have the bits of one after the other") {
  for (const BatchShape& s : kShapes) {
    const Input<float> first(s, Values::kNormal, 10), second(s, Values::kNormal, 20);
    Guarded<float> shortcut(s.size()), want(s.size()), y(s.size());
    const NormalisedInput<float> a = first.argument(), b = second.argument();
    cpu::run(BatchNormForward<float>{b.x, nullptr, b.mean, b.inverse_std, b.weight, b.bias,
                                     shortcut.data(), false, s.rows, s.channels});
    cpu::run(BatchNormForward<float>{a.x, shortcut.data(), a.mean, a.inverse_std, a.weight, a.bias,
                                     want.data(), true, s.rows, s.channels});
    cpu::run(DualBatchNormForward<float>{a, b, y.data(), s.rows, s.channels});
    CHECK(y.bytes == want.bytes);
  }
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: the shortcut normalised as the other
//   - + second.of(k, second_x[k])
//   + + first.of(k, second_x[k])
// cpu: no ReLU
//   - x[k] = z > 0 ? z : 0;
//   + x[k] = z;
// cpu: a sum of the other tensor
//   - call.second, 2, mine)
//   + call.second, 1, mine)
// cpu: the last sums left out
//   - merge_blocks(3 * call.channels)
//   + merge_blocks(2 * call.channels)
// clang-format on
