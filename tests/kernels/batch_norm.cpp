// Batch normalisation against its formulas in double: statistics (also of a small variance around a
// large mean), forward, backward.
#include "kernels/batch_norm/call.h"

#include "tests/support/bf16_case.h"
#ifndef BASIN_TEST_ON_DEVICE
#include "tests/support/op_gradient.h"
#endif

using namespace basin;
using namespace basin::test;

namespace {

struct BatchShape {
  int64_t rows, channels;
  int64_t size() const { return rows * channels; }
  std::string text() const { return std::to_string(rows) + "x" + std::to_string(channels); }
};
const BatchShape kShapes[] = {{1, 1},     {1, 17},    {2, 3},    {9, 5},     {64, 16},
                              {49, 17},   {128, 64},  {75, 65},  {33, 100},  {70, 1},
                              {20000, 1}, {3001, 16}, {700, 65}, {257, 512}, {300, 5}};
// Sums over these numbers of rows divide exactly.
const BatchShape kExactShapes[] = {{1, 1}, {4, 17}, {16, 5}, {64, 65}, {64, 100}, {32, 1}, {2, 64}};

constexpr double kEpsilon = 1e-5;

struct Moments {
  double mean, variance, magnitude;  // biased variance; mean of |x|
};

Moments moments_of(const Guarded<float>& x, const BatchShape& s, int64_t c) {
  Moments m{};
  for (int64_t row = 0; row < s.rows; ++row) {
    m.mean += x[row * s.channels + c] / double(s.rows);
    m.magnitude += std::abs(x[row * s.channels + c]) / double(s.rows);
  }
  for (int64_t row = 0; row < s.rows; ++row) {
    const double centred = x[row * s.channels + c] - m.mean;
    m.variance += centred * centred / double(s.rows);
  }
  return m;
}

struct Statistics {
  Guarded<float> mean, inverse_std, running_mean, running_variance;
};

Statistics run_statistics(Guarded<float>& x, const BatchShape& s, bool running, double momentum) {
  Statistics out{Guarded<float>(s.channels), Guarded<float>(s.channels),
                 Guarded<float>(running ? s.channels : 0),
                 Guarded<float>(running ? s.channels : 0)};
  std::fill_n(out.running_mean.data(), out.running_mean.size(), 2.0f);
  std::fill_n(out.running_variance.data(), out.running_variance.size(), 3.0f);
  BatchNormStatistics<float> call{.x = x,
                                  .mean = out.mean,
                                  .inverse_std = out.inverse_std,
                                  .running_mean = out.running_mean,
                                  .running_variance = out.running_variance,
                                  .epsilon = kEpsilon,
                                  .momentum = momentum,
                                  .rows = s.rows,
                                  .channels = s.channels};
  Guarded<double> partials = partials_of(call);
  run_call({&x}, {&out.mean, &out.inverse_std, &out.running_mean, &out.running_variance, &partials},
           call);
  return out;
}

// The error allowed in the variance is 8 * 2^-24 of itself, so half as much in its inverse root;
// the bound of the mean is that of a sum.
void check_statistics(Guarded<float>& x, const BatchShape& s, Comparison& means,
                      Comparison& deviations) {
  const Statistics got = run_statistics(x, s, true, 0.1);
  const Statistics without = run_statistics(x, s, false, 0.1);
  for (int64_t c = 0; c < s.channels; ++c) {
    const Moments m = moments_of(x, s, c);
    means.value(got.mean[c], m.mean, m.magnitude);
    const double inverse_std = 1 / std::sqrt(m.variance + kEpsilon);
    deviations.value(got.inverse_std[c], inverse_std, inverse_std / 2);
    const double unbiased = s.rows > 1 ? m.variance * double(s.rows) / double(s.rows - 1) : 0.0;
    means.value(got.running_mean[c], 0.9 * 2 + 0.1 * m.mean, 0.9 * 2 + 0.1 * m.magnitude);
    deviations.value(got.running_variance[c], 0.9 * 3 + 0.1 * unbiased, 0.9 * 3 + 0.1 * unbiased);
    CHECK(without.mean[c] == got.mean[c]);
    CHECK(without.inverse_std[c] == got.inverse_std[c]);
  }
  means.check("mean, " + s.text());
  deviations.check("deviation, " + s.text());
}

// Statistics, weights and biases as a forward or backward pass gets them.
struct Parameters {
  Guarded<float> mean, inverse_std, weight, bias;

  BatchNormInput<float> input(const Guarded<float>& x) const {
    return {x, mean, inverse_std, weight, bias};
  }
};

// Those of normal numbers with mean 1000 and deviation 0.01.
void set_far_from_zero(Parameters& p) {
  std::fill_n(p.mean.data(), p.mean.size(), 1000.0f);
  std::fill_n(p.inverse_std.data(), p.inverse_std.size(), 100.0f);
}

Parameters parameters(int64_t channels, Values values) {
  Parameters p{filled<float>(channels, values, 11), filled<float>(channels, values, 12),
               filled<float>(channels, values, 13), filled<float>(channels, values, 14)};
  for (int64_t c = 0; c < channels; ++c) {
    p.inverse_std[c] =
        values == Values::kIntegers ? (c % 2 ? 0.5f : 2.0f) : 0.5f + std::abs(p.inverse_std[c]);
  }
  return p;
}

void check_forward(const BatchShape& s, Guarded<float>& x, Parameters& p, bool relu,
                   bool with_residual, Values values, Comparison& comparison) {
  const int64_t size = s.size();
  Guarded<float> residual = filled<float>(with_residual ? size : 0, values, 2), y(size);
  run_call({&x, &residual, &p.mean, &p.inverse_std, &p.weight, &p.bias}, {&y},
           BatchNormForward<float>{.input = p.input(x),
                                   .residual = residual,
                                   .y = y,
                                   .relu = relu,
                                   .rows = s.rows,
                                   .channels = s.channels});
  for (int64_t i = 0; i < size; ++i) {
    const int64_t c = i % s.channels;
    const double normalised = (double(x[i]) - p.mean[c]) * p.inverse_std[c] * double(p.weight[c]);
    const double r = with_residual ? residual[i] : 0, z = normalised + p.bias[c] + r;
    comparison.value(y[i], relu ? std::max(z, 0.0) : z,
                     std::abs(normalised) + std::abs(p.bias[c]) + std::abs(r));
  }
  comparison.check("forward, " + s.text());
}

// `options`: 1 relu, 2 dx, 4 dresidual, 8 accumulate
void check_backward(const BatchShape& s, Guarded<float>& x, Parameters& p, int options,
                    Values values, Comparison& sums, Comparison& elements) {
  const bool relu = options & 1, accumulate = options & 8;
  const int64_t size = s.size();
  Guarded<float> dy = filled<float>(size, values, 3);
  Guarded<float> y = filled<float>(relu ? size : 0, Values::kNormal, 4);
  for (int64_t i = 0; i < y.size(); ++i) y[i] = std::max(y[i], 0.0f);
  auto out = [&](bool wanted, int64_t count, uint32_t seed) {
    return output<float>(wanted ? count : 0, accumulate, values, seed);
  };
  Guarded<float> dx = out(options & 2, size, 5), dresidual = out(options & 4, size, 6),
                 dweight = out(true, s.channels, 7), dbias = out(true, s.channels, 8);
  const Guarded<float> dx0 = dx, dresidual0 = dresidual, dweight0 = dweight, dbias0 = dbias;
  BatchNormBackward<float> call{.input = p.input(x),
                                .y = y,
                                .dy = dy,
                                .relu = relu,
                                .dx = {dx, accumulate},
                                .dresidual = {dresidual, accumulate},
                                .dweight = {dweight, accumulate},
                                .dbias = {dbias, accumulate},
                                .rows = s.rows,
                                .channels = s.channels};
  Guarded<double> partials = partials_of(call);
  run_call({&x, &y, &dy, &p.mean, &p.inverse_std, &p.weight},
           {&dx, &dresidual, &dweight, &dbias, &partials}, call);
  const auto rows = double(s.rows);
  for (int64_t c = 0; c < s.channels; ++c) {
    double sum_dz = 0, sum_dzx = 0, abs_dz = 0, abs_dzx = 0;
    auto dz_at = [&](int64_t i) { return relu && !(y[i] > 0) ? 0.0 : double(dy[i]); };
    auto xhat_at = [&](int64_t i) { return (double(x[i]) - p.mean[c]) * p.inverse_std[c]; };
    for (int64_t row = 0; row < s.rows; ++row) {
      const int64_t i = row * s.channels + c;
      sum_dz += dz_at(i);
      sum_dzx += dz_at(i) * xhat_at(i);
      abs_dz += std::abs(dz_at(i));
      abs_dzx += std::abs(dz_at(i) * xhat_at(i));
    }
    const double start_weight = accumulate ? dweight0[c] : 0,
                 start_bias = accumulate ? dbias0[c] : 0;
    sums.value(dweight[c], start_weight + sum_dzx, std::abs(start_weight) + abs_dzx);
    sums.value(dbias[c], start_bias + sum_dz, std::abs(start_bias) + abs_dz);
    const double factor = double(p.weight[c]) * p.inverse_std[c];
    for (int64_t row = 0; row < s.rows; ++row) {
      const int64_t i = row * s.channels + c;
      const double dz = dz_at(i), xhat = xhat_at(i);
      if (dresidual.size() > 0) {
        const double start = accumulate ? dresidual0[i] : 0;
        elements.value(dresidual[i], start + dz, std::abs(start) + std::abs(dz));
      }
      if (dx.size() > 0) {
        const double start = accumulate ? dx0[i] : 0;
        elements.value(dx[i], start + factor * (dz - sum_dz / rows - xhat * sum_dzx / rows),
                       std::abs(start) + std::abs(factor) * (std::abs(dz) + abs_dz / rows +
                                                             std::abs(xhat) * abs_dzx / rows));
      }
    }
  }
  const std::string what = s.text() + ", options " + std::to_string(options);
  sums.check("parameter gradients, " + what);
  elements.check("input gradients, " + what);
}

// Values around a mean that is large beside their spread.
Guarded<float> far_from_zero(const BatchShape& s, float mean, float spread) {
  Guarded<float> x = filled<float>(s.size(), Values::kNormal, 21);
  for (int64_t i = 0; i < x.size(); ++i) x[i] = mean + spread * x[i];
  return x;
}

}  // namespace

TEST_CASE("batch norm statistics are exact on small integers") {
  for (const BatchShape& s : kExactShapes) {
    if (too_large(s.size())) continue;
    Guarded<float> x = filled<float>(s.size(), Values::kIntegers, 1);
    const Statistics got = run_statistics(x, s, true, 0.5);
    for (int64_t c = 0; c < s.channels; ++c) {
      const Moments m = moments_of(x, s, c);
      CHECK(got.mean[c] == m.mean);
      CHECK(got.inverse_std[c] == static_cast<float>(1 / std::sqrt(m.variance + kEpsilon)));
      CHECK(got.running_mean[c] == 1 + m.mean / 2);
      if (s.rows > 1) {
        const double unbiased = m.variance * double(s.rows) / double(s.rows - 1);
        CHECK(got.running_variance[c] == static_cast<float>(1.5 + unbiased / 2));
      }
    }
  }
}

TEST_CASE("batch norm statistics are within the tolerance on random numbers") {
  Comparison means(false), deviations(false);
  for (const BatchShape& s : kShapes) {
    if (too_large(s.size())) continue;
    for (Values values : {Values::kNormal, Values::kPositive}) {
      Guarded<float> x = filled<float>(s.size(), values, 1);
      check_statistics(x, s, means, deviations);
    }
    Guarded<float> far = far_from_zero(s, 1000, 0.01f);
    check_statistics(far, s, means, deviations);
  }
  means.report("batch norm mean");
  deviations.report("batch norm deviation");
}

TEST_CASE("batch norm statistics of a small variance around a large mean") {
  Comparison means(false), deviations(false);
  for (const BatchShape& s : {BatchShape{300, 3}, {5000, 17}, {20000, 1}}) {
    for (float mean : {1000.0f, -30000.0f}) {
      // E[x^2] - E[x]^2 in float would lose the variance altogether.
      Guarded<float> x = far_from_zero(s, mean, std::abs(mean) * 1e-5f);
      check_statistics(x, s, means, deviations);
    }
  }
}

TEST_CASE("batch norm forward is exact on small integers") {
  Comparison comparison(true);
  for (const BatchShape& s : kShapes) {
    if (too_large(s.size())) continue;
    Guarded<float> x = filled<float>(s.size(), Values::kIntegers, 1);
    Parameters p = parameters(s.channels, Values::kIntegers);
    for (int options = 0; options < 4; ++options) {
      check_forward(s, x, p, options & 1, options & 2, Values::kIntegers, comparison);
    }
  }
}

TEST_CASE("batch norm forward is within the tolerance, also far from zero") {
  Comparison comparison(false);
  for (const BatchShape& s : kShapes) {
    if (too_large(s.size())) continue;
    for (Values values : {Values::kNormal, Values::kPositive}) {
      Guarded<float> x = filled<float>(s.size(), values, 1);
      Parameters p = parameters(s.channels, values);
      for (int options = 0; options < 4; ++options) {
        check_forward(s, x, p, options & 1, options & 2, values, comparison);
      }
      Guarded<float> far = far_from_zero(s, 1000, 0.01f);
      set_far_from_zero(p);
      check_forward(s, far, p, false, false, values, comparison);
    }
  }
  comparison.report("batch norm forward");
}

TEST_CASE("batch norm backward is exact on small integers") {
  Comparison sums(true), elements(true);
  for (const BatchShape& s : kExactShapes) {
    if (too_large(s.size())) continue;
    Guarded<float> x = filled<float>(s.size(), Values::kIntegers, 1);
    Parameters p = parameters(s.channels, Values::kIntegers);
    for (int options = 0; options < 16; ++options) {
      check_backward(s, x, p, options, Values::kIntegers, sums, elements);
    }
  }
}

TEST_CASE("batch norm backward is within the tolerance, also far from zero") {
  Comparison sums(false), elements(false);
  for (const BatchShape& s : kShapes) {
    if (too_large(s.size())) continue;
    for (Values values : {Values::kNormal, Values::kPositive}) {
      Guarded<float> x = filled<float>(s.size(), values, 1);
      Parameters p = parameters(s.channels, values);
      for (int options : {6, 7, 14, 15}) {
        check_backward(s, x, p, options, values, sums, elements);
      }
      Guarded<float> far = far_from_zero(s, 1000, 0.01f);
      set_far_from_zero(p);
      check_backward(s, far, p, 7, values, sums, elements);
    }
  }
  sums.report("batch norm parameter gradients");
  elements.report("batch norm input gradients");
}

TEST_CASE("the inverse deviation of running statistics") {
  Guarded<float> variance(3), inverse_std(3);
  variance[0] = 0;
  variance[1] = 3;
  variance[2] = 0.25f;
  run_call({&variance}, {&inverse_std}, BatchNormInverseStd<float>{variance, inverse_std, 1, 3});
  CHECK(inverse_std[0] == 1);
  CHECK(inverse_std[1] == 0.5f);
  CHECK(inverse_std[2] == static_cast<float>(1 / std::sqrt(1.25)));
}

#ifdef BASIN_TEST_ON_DEVICE
TEST_CASE("batch norm on bfloat16") {
  StorageComparison statistics("statistics"), forward("forward"), gradients("gradients"),
      sums("sums");
  const int64_t shapes[][2] = {{1, 1}, {40, 17}, {33, 64}, {700, 65}, {1000, 8}};
  for (const auto& [rows, channels] : shapes) {
    const int64_t size = rows * channels;
    if (too_large(size)) continue;
    Numbers x(size, 1), residual(size, 2), y(size), dy(size, 3), dx(size), dresidual(size, 4);
    Guarded<float> weight = filled<float>(channels, Values::kPositive, 5),
                   bias = filled<float>(channels, Values::kNormal, 6);
    Twice<float> means(channels), deviations(channels), gradient_sums(2 * channels);
    in_both_types([&]<class T>(T) {
      Guarded<float>&mean = of<T>(means), &inverse_std = of<T>(deviations),
      &sum = of<T>(gradient_sums);
      BatchNormStatistics<T> moments{.x = of<T>(x),
                                     .mean = mean,
                                     .inverse_std = inverse_std,
                                     .running_mean = nullptr,
                                     .running_variance = nullptr,
                                     .epsilon = 1e-3,
                                     .momentum = 0.1,
                                     .rows = rows,
                                     .channels = channels};
      const BatchNormInput<T> input{of<T>(x), mean, inverse_std, weight, bias};
      BatchNormBackward<T> backward{.input = input,
                                    .y = of<T>(y),
                                    .dy = of<T>(dy),
                                    .relu = true,
                                    .dx = {of<T>(dx)},
                                    .dresidual = {of<T>(dresidual), true},
                                    .dweight = {sum},
                                    .dbias = {sum.data() + channels},
                                    .rows = rows,
                                    .channels = channels};
      Guarded<double> partials = partials_of(moments), more = partials_of(backward);
      run_call({&of<T>(x)}, {&mean, &inverse_std, &partials}, moments);
      if (std::is_same_v<T, Bf16>) {  // after float
        statistics.floats(means, 1);
        statistics.floats(deviations, 40);
        // From here on both types get the same.
        means.half = means.single;
        deviations.half = deviations.single;
      }
      run_call({&of<T>(x), &of<T>(residual), &mean, &inverse_std, &weight, &bias}, {&of<T>(y)},
               BatchNormForward<T>{.input = input,
                                   .residual = of<T>(residual),
                                   .y = of<T>(y),
                                   .relu = true,
                                   .rows = rows,
                                   .channels = channels});
      run_call({&of<T>(x), &of<T>(y), &of<T>(dy), &mean, &inverse_std, &weight},
               {&of<T>(dx), &of<T>(dresidual), &sum, &more}, backward);
    });
    forward.results(y, 20);
    // One row has no deviation, and a large factor for what then cancels.
    gradients.results(dx, rows == 1 ? 300 : 20);
    gradients.results(dresidual, 10);
    sums.floats(gradient_sums, 10 * static_cast<double>(rows));
  }
}
#else
TEST_CASE("gradient of batch_norm, with and without residual and ReLU") {
  for (int options = 0; options < 4; ++options) {
    for (const Shape& shape : {Shape{2, 3, 3, 3}, Shape{1, 2, 5, 1}, Shape{3, 1, 1, 5}}) {
      Inputs inputs;
      const Tensor x = inputs.add("x", shape);
      const BatchNorm norm = inputs.add_norm("", shape[3]);
      const Tensor residual = options & 1 ? inputs.add("residual", shape) : Tensor();
      inputs.allocate();
      const auto op = [&](Tape& tape, bool relu) {
        return batch_norm(tape, x, norm, Mode::kTrain, residual, relu);
      };
      draw_away_from_zero(
          inputs, [&](Tape& tape) { return op(tape, false); }, 0.03);
      inputs.check("batch_norm, options " + std::to_string(options) + ", " + shape.text(),
                   [&](Tape& tape) { return op(tape, options & 2); });
    }
  }
}

TEST_CASE("gradient of batch_norm whose input is its residual too, or is used twice") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 3, 3, 2});
  const BatchNorm norm = inputs.add_norm("", 2);
  inputs.allocate();
  const auto alone = [&](Tape& tape) { return batch_norm(tape, x, norm, Mode::kTrain, {}, false); };
  const auto with_itself = [&](Tape& tape) {
    return batch_norm(tape, x, norm, Mode::kTrain, x, false);
  };
  inputs.check("batch_norm(x) + x", with_itself);
  inputs.check_sum("batch_norm twice", alone, with_itself);
}

TEST_CASE("gradient of the sum of two batch norms, also of one tensor in both places") {
  for (const Shape& shape : {Shape{2, 3, 3, 3}, Shape{1, 2, 5, 1}, Shape{3, 2, 1, 5}}) {
    for (const bool same : {false, true}) {
      Inputs inputs;
      const Tensor x = inputs.add("x", shape), other = same ? x : inputs.add("shortcut", shape);
      const BatchNorm norm = inputs.add_norm("", shape[3]);
      const BatchNorm other_norm = inputs.add_norm("shortcut_", shape[3]);
      inputs.allocate();
      const auto op = [&](Tape& tape, bool relu) {
        const Tensor shortcut = batch_norm(tape, other, other_norm, Mode::kTrain, {}, false);
        return batch_norm(tape, x, norm, Mode::kTrain, shortcut, relu);
      };
      draw_away_from_zero(
          inputs, [&](Tape& tape) { return op(tape, false); }, 0.03);
      inputs.check("two batch norms, " + shape.text(), [&](Tape& tape) { return op(tape, true); });
    }
  }
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// asan: kernels/library/vector.h: alignment not looked at
//   -  % sizeof(Pack<T, kCount>) == 0
//   +  % 1 == 0
// cpu: the rounding of the mean left in
//   - double(mean) + off,
//   + double(mean),
// cpu: kernels/batch_norm/cuda_passes.h: a sum in bfloat16
//   - = sums[k].value();
//   + = to_float(to_bf16(static_cast<float>(sums[k].value())));
// cpu: kernels/batch_norm/cuda_passes.h: the last row dropped
//   - threadIdx.y; row < end; row
//   + threadIdx.y; row + 1 < end; row
// cpu: the last chunk taken for a whole one
//   - static_cast<double>(chunks.rows_of(i))
//   + static_cast<double>(chunks.step)
// cpu: no ReLU
//   - x[k] = call.relu && !(z > 0) ? 0 : z;
//   + x[k] = z;
// cpu: kernels/batch_norm/cuda_passes.h: the sum of dz for that of dz*xhat
//   - sums.dzx * share
//   + sums.dz * share
// cpu: only the first of the rows asked for at once
//   - if (row + i * kDown >= end) break;
//   + if (i > 0) break;
// cpu: kernels/batch_norm/cuda_passes.h: more chunks than the partials have room for
//   - step = wanted > least ? wanted : least;
//   + step = kDown;
// cpu: chunks merged as if they had one mean
//   - a.squares + b.squares + delta * delta * a.count * b.count / count
//   + a.squares + b.squares
// cpu: kernels/batch_norm/cuda_passes.h: the last channels taken for a whole vector
//   - left < kVectorSize<T> ? left : kVectorSize<T>
//   + kVectorSize<T>
// cpu: a result written by all rows of threads
//   - if (threadIdx.y != 0 || channel >= channels) return;
//   + if (channel >= channels) return;
// cpu: kernels/batch_norm/cuda_passes.h: one coefficient written over another
//   - of_channel[2 * channels] =
//   + of_channel[channels] =
// cpu: kernels/batch_norm/cuda_passes.h: the last of the threads down the chunks left out
//   - i < kMergeDown && threadIdx.y == 0
//   + i + 1 < kMergeDown && threadIdx.y == 0
// clang-format on
