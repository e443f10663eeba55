// Batch normalisation against its formulas in double: statistics (also of a small variance around a
// large mean), forward, backward.
#include "kernels/batch_norm/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

struct BatchShape {
  int64_t rows, channels;
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
  BatchNormStatistics<float> call{};
  call.rows = s.rows;
  call.channels = s.channels;
  Guarded<double> partials(call.partials_size());
  run_checked({&x},
              {&out.mean, &out.inverse_std, &out.running_mean, &out.running_variance, &partials},
              [&] {
                call = {x.data(),
                        out.mean.data(),
                        out.inverse_std.data(),
                        out.running_mean.or_null(),
                        out.running_variance.or_null(),
                        kEpsilon,
                        momentum,
                        partials.data(),
                        s.rows,
                        s.channels};
                device::run(call);
              });
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
};

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
  const int64_t size = s.rows * s.channels;
  Guarded<float> residual = filled<float>(with_residual ? size : 0, values, 2), y(size);
  run_checked({&x, &residual, &p.mean, &p.inverse_std, &p.weight, &p.bias}, {&y}, [&] {
    device::run(BatchNormForward<float>{x.data(), residual.or_null(), p.mean.data(),
                                        p.inverse_std.data(), p.weight.data(), p.bias.data(),
                                        y.data(), relu, s.rows, s.channels});
  });
  for (int64_t i = 0; i < size; ++i) {
    const int64_t c = i % s.channels;
    const double normalised = (double(x[i]) - p.mean[c]) * p.inverse_std[c] * double(p.weight[c]);
    const double r = with_residual ? residual[i] : 0, z = normalised + p.bias[c] + r;
    comparison.value(y[i], relu ? std::max(z, 0.0) : z,
                     std::abs(normalised) + std::abs(p.bias[c]) + std::abs(r));
  }
  comparison.check("forward, " + s.text());
}

// Calls check() where all of a channel's rows fit on the chip, as `copies` or fewer slices of one
// or two vectors of 16 bytes, or not: each is another way through the kernels.
template <class Check>
void in_every_memory(const BatchShape& s, int64_t copies, const Check& check) {
  std::vector<int64_t> sizes = {kMostMemory, 0};
  for (; copies > 0; --copies) sizes.push_back(s.rows * 16 * copies + kSliceSums);
  for (const int64_t bytes : sizes) with_block_memory(bytes, check);
}

// Statistics and forward in one: the statistics against moments in double, y against the formula
// with the statistics it was given.
void check_train_forward(const BatchShape& s, Guarded<float>& x, Values values, int options,
                         Comparison& means, Comparison& deviations, Comparison& elements) {
  const bool relu = options & 1, running = options & 4;
  const int64_t size = s.rows * s.channels;
  Guarded<float> residual = filled<float>(options & 2 ? size : 0, values, 2), y(size);
  Parameters p = parameters(s.channels, values);
  Guarded<float> mean(s.channels), inverse_std(s.channels), running_mean(running ? s.channels : 0),
      running_variance(running ? s.channels : 0);
  std::fill_n(running_mean.data(), running_mean.size(), 2.0f);
  std::fill_n(running_variance.data(), running_variance.size(), 3.0f);
  BatchNormTrainForward<float> call{};
  call.rows = s.rows;
  call.channels = s.channels;
  Guarded<double> partials(call.partials_size());
  run_checked({&x, &residual, &p.weight, &p.bias},
              {&y, &mean, &inverse_std, &running_mean, &running_variance, &partials}, [&] {
                call = {x.data(),
                        residual.or_null(),
                        p.weight.data(),
                        p.bias.data(),
                        mean.data(),
                        inverse_std.data(),
                        running_mean.or_null(),
                        running_variance.or_null(),
                        y.data(),
                        relu,
                        kEpsilon,
                        0.1,
                        partials.data(),
                        s.rows,
                        s.channels};
                device::run(call);
              });
  for (int64_t c = 0; c < s.channels; ++c) {
    const Moments m = moments_of(x, s, c);
    means.value(mean[c], m.mean, m.magnitude);
    const double want = 1 / std::sqrt(m.variance + kEpsilon);
    deviations.value(inverse_std[c], want, want / 2);
    if (!running) continue;
    const double unbiased = s.rows > 1 ? m.variance * double(s.rows) / double(s.rows - 1) : 0.0;
    means.value(running_mean[c], 0.9 * 2 + 0.1 * m.mean, 0.9 * 2 + 0.1 * m.magnitude);
    deviations.value(running_variance[c], 0.9 * 3 + 0.1 * unbiased, 0.9 * 3 + 0.1 * unbiased);
  }
  for (int64_t i = 0; i < size; ++i) {
    const int64_t c = i % s.channels;
    const double normalised = (double(x[i]) - mean[c]) * inverse_std[c] * double(p.weight[c]);
    const double r = residual.size() > 0 ? residual[i] : 0, z = normalised + p.bias[c] + r;
    elements.value(y[i], relu ? std::max(z, 0.0) : z,
                   std::abs(normalised) + std::abs(p.bias[c]) + std::abs(r));
  }
  const std::string what = s.text() + ", options " + std::to_string(options);
  means.check("training forward, mean, " + what);
  deviations.check("training forward, deviation, " + what);
  elements.check("training forward, " + what);
}

// `options`: 1 relu, 2 dx, 4 dresidual, 8 accumulate
void check_backward(const BatchShape& s, Guarded<float>& x, Parameters& p, int options,
                    Values values, Comparison& sums, Comparison& elements) {
  const bool relu = options & 1, accumulate = options & 8;
  const int64_t size = s.rows * s.channels;
  Guarded<float> dy = filled<float>(size, values, 3);
  Guarded<float> y = filled<float>(relu ? size : 0, Values::kNormal, 4);
  for (int64_t i = 0; i < y.size(); ++i) y[i] = std::max(y[i], 0.0f);
  auto out = [&](bool wanted, int64_t count, uint32_t seed) {
    return output<float>(wanted ? count : 0, accumulate, values, seed);
  };
  Guarded<float> dx = out(options & 2, size, 5), dresidual = out(options & 4, size, 6),
                 dweight = out(true, s.channels, 7), dbias = out(true, s.channels, 8);
  const Guarded<float> dx0 = dx, dresidual0 = dresidual, dweight0 = dweight, dbias0 = dbias;
  BatchNormBackward<float> call{};
  call.rows = s.rows;
  call.channels = s.channels;
  Guarded<double> partials(call.partials_size());
  run_checked(
      {&x, &y, &dy, &p.mean, &p.inverse_std, &p.weight},
      {&dx, &dresidual, &dweight, &dbias, &partials}, [&] {
        call = {
            x.data(),        y.or_null(), dy.data(),    p.mean.data(),       p.inverse_std.data(),
            p.weight.data(), relu,        dx.or_null(), dresidual.or_null(), dweight.data(),
            dbias.data(),    accumulate,  accumulate,   accumulate,          accumulate,
            partials.data(), s.rows,      s.channels};
        device::run(call);
      });
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

// Values around a mean that is large beside their spread, and the statistics that belong to them.
Guarded<float> far_from_zero(const BatchShape& s, float mean, float spread) {
  Guarded<float> x = filled<float>(s.rows * s.channels, Values::kNormal, 21);
  for (int64_t i = 0; i < x.size(); ++i) x[i] = mean + spread * x[i];
  return x;
}

}  // namespace

TEST_CASE("batch norm statistics are exact on small integers") {
  for (const BatchShape& s : kExactShapes) {
    if (too_large(s.rows * s.channels)) continue;
    Guarded<float> x = filled<float>(s.rows * s.channels, Values::kIntegers, 1);
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
    if (too_large(s.rows * s.channels)) continue;
    for (Values values : {Values::kNormal, Values::kPositive}) {
      Guarded<float> x = filled<float>(s.rows * s.channels, values, 1);
      check_statistics(x, s, means, deviations);
    }
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
    if (too_large(s.rows * s.channels)) continue;
    Guarded<float> x = filled<float>(s.rows * s.channels, Values::kIntegers, 1);
    Parameters p = parameters(s.channels, Values::kIntegers);
    for (int options = 0; options < 4; ++options) {
      check_forward(s, x, p, options & 1, options & 2, Values::kIntegers, comparison);
    }
  }
}

TEST_CASE("batch norm forward is within the tolerance, also far from zero") {
  Comparison comparison(false);
  for (const BatchShape& s : kShapes) {
    if (too_large(s.rows * s.channels)) continue;
    for (Values values : {Values::kNormal, Values::kPositive}) {
      Guarded<float> x = filled<float>(s.rows * s.channels, values, 1);
      Parameters p = parameters(s.channels, values);
      for (int options = 0; options < 4; ++options) {
        check_forward(s, x, p, options & 1, options & 2, values, comparison);
      }
      Guarded<float> far = far_from_zero(s, 1000, 0.01f);
      for (int64_t c = 0; c < s.channels; ++c) {
        p.mean[c] = 1000;
        p.inverse_std[c] = 100;
      }
      check_forward(s, far, p, false, false, values, comparison);
    }
  }
  comparison.report("batch norm forward");
}

TEST_CASE("batch norm forward in training is statistics and forward in one") {
  Comparison means(false), deviations(false), elements(false);
  int options = 3;
  for (const BatchShape& s : kShapes) {
    if (too_large(s.rows * s.channels)) continue;
    Guarded<float> x = filled<float>(s.rows * s.channels, Values::kNormal, 1);
    Guarded<float> far = far_from_zero(s, 1000, 0.01f);
    in_every_memory(s, 1, [&] {
      check_train_forward(s, x, Values::kNormal, options, means, deviations, elements);
      check_train_forward(s, far, Values::kNormal, 7 - options, means, deviations, elements);
      options = (options + 3) % 8;
    });
  }
  means.report("training forward, mean");
  deviations.report("training forward, deviation");
  elements.report("training forward");
}

TEST_CASE("batch norm backward is exact on small integers") {
  Comparison sums(true), elements(true);
  for (const BatchShape& s : kExactShapes) {
    if (too_large(s.rows * s.channels)) continue;
    Guarded<float> x = filled<float>(s.rows * s.channels, Values::kIntegers, 1);
    Parameters p = parameters(s.channels, Values::kIntegers);
    for (int options = 0; options < 16; ++options) {
      in_every_memory(s, options == 15 ? 2 : 0,
                      [&] { check_backward(s, x, p, options, Values::kIntegers, sums, elements); });
    }
  }
}

TEST_CASE("batch norm backward is within the tolerance, also far from zero") {
  Comparison sums(false), elements(false);
  for (const BatchShape& s : kShapes) {
    if (too_large(s.rows * s.channels)) continue;
    for (Values values : {Values::kNormal, Values::kPositive}) {
      Guarded<float> x = filled<float>(s.rows * s.channels, values, 1);
      Parameters p = parameters(s.channels, values);
      for (int options : {6, 7, 14, 15}) {
        in_every_memory(s, options == 7 ? 2 : 0,
                        [&] { check_backward(s, x, p, options, values, sums, elements); });
      }
      Guarded<float> far = far_from_zero(s, 1000, 0.01f);
      for (int64_t c = 0; c < s.channels; ++c) {
        p.mean[c] = 1000;
        p.inverse_std[c] = 100;
      }
      in_every_memory(s, 0, [&] { check_backward(s, far, p, 7, values, sums, elements); });
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
  run_checked({&variance}, {&inverse_std}, [&] {
    device::run(BatchNormInverseStd<float>{variance.data(), inverse_std.data(), 1, 3});
  });
  CHECK(inverse_std[0] == 1);
  CHECK(inverse_std[1] == 0.5f);
  CHECK(inverse_std[2] == static_cast<float>(1 / std::sqrt(1.25)));
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// asan: kernels/library/vector.h: alignment not looked at
//   -  % sizeof(Pack<T, kCount>) == 0
//   +  % 1 == 0
// cpu: kernels/batch_norm/cuda_passes.h: the rounding of the mean left in
//   - return {double(mean) + off,
//   + return {double(mean),
// cpu: kernels/batch_norm/cuda_passes.h: a sum in bfloat16
//   - = sums[k].value();
//   + = to_float(to_bf16(static_cast<float>(sums[k].value())));
// cpu: kernels/batch_norm/cuda_passes.h: the last row dropped
//   - threadIdx.y; row < end; row
//   + threadIdx.y; row + 1 < end; row
// cpu: the last chunk taken for a whole one
//   - rows = min(step, call.rows - i * step);
//   + rows = step;
// cpu: only the first of the rows asked for at once
//   - if (row + i * kDown >= end) break;
//   + if (i > 0) break;
// cpu: kernels/batch_norm/cuda_on_chip.h: a row asked for and not used
//   - if (row + i * down < rows) use
//   + if (row + (i + 1) * down < rows) use
// cpu: kernels/batch_norm/cuda_passes.h: more chunks than the partials have room for
//   - return rows > call.chunk_rows() ? rows : call.chunk_rows();
//   + return kDown;
// cpu: chunks merged as if they had one mean
//   - a.squares + b.squares + delta * delta * a.count * b.count / count
//   + a.squares + b.squares
// cpu: kernels/batch_norm/cuda_passes.h: the last channels taken for a whole vector
//   - left < kVectorSize<T> ? left : kVectorSize<T>
//   + kVectorSize<T>
// cpu: a result written by all rows of threads
//   - if (threadIdx.y != 0 || channel >= call.channels) return;
//   + if (channel >= call.channels) return;
// cpu: kernels/batch_norm/cuda_on_chip.h: the last row of a slice dropped
//   - row < rows; row += blockDim
//   + row + 1 < rows; row += blockDim
// cpu: kernels/batch_norm/cuda_on_chip.h: one vector of a slice kept over the other
//   - (row * across + column) * kCount
//   + row * across * kCount
// cpu: kernels/batch_norm/cuda_on_chip.h: both vectors of a slice summed
//   - distance >= across
//   + distance > 0
// cpu: kernels/batch_norm/cuda_on_chip.h: the last warp left out
//   - warp < warps; ++warp
//   + warp + 1 < warps; ++warp
// cpu: kernels/batch_norm/cuda_on_chip.h: x kept where dz is
//   - kept_dz + call.rows * plan.across * kCount
//   + kept_dz
// cpu: kernels/batch_norm/cuda_on_chip.h: less memory asked for than used
//   - static_cast<size_t>(bytes), 
//   + static_cast<size_t>(bytes / 2), 
// cpu: kernels/batch_norm/cuda_on_chip.h: statistics written by all threads
//   - return static_cast<int>(threadIdx.x) < across;
//   + return true;
// clang-format on
