// The stem's batch norm, ReLU and max pool in one against the calls it is made of, which have their
// own oracles: the same maxima and places; gradients to rounding; and small integers by hand.
#include "kernels/batch_norm_max_pool/call.h"

#include "kernels/pool/call.h"
#include "tests/support/kernel_case.h"
#ifndef BASIN_TEST_ON_DEVICE
#include "tests/support/op_gradient.h"
#endif

using namespace basin;
using namespace basin::test;

namespace {

struct Images {
  int64_t batch, height, width, channels;
  int64_t rows() const { return batch * height * width; }
  int64_t size() const { return rows() * channels; }
  int64_t out_height() const { return (height - 1) / 2 + 1; }
  int64_t out_width() const { return (width - 1) / 2 + 1; }
  int64_t out_size() const { return batch * out_height() * out_width() * channels; }
};

const Images kShapes[] = {{1, 1, 1, 1},  {1, 1, 1, 17},  {1, 2, 3, 3},    {2, 5, 7, 5},
                          {3, 8, 8, 16}, {1, 9, 4, 65},  {2, 16, 15, 64}, {1, 3, 3, 100},
                          {2, 1, 9, 3},  {1, 33, 17, 17}};

// Parameters of the normalisation. Of whole numbers, all steps are exact.
struct Parameters {
  Guarded<float> mean, inverse_std, weight, bias;
  Parameters(int64_t channels, Values values)
      : mean(filled<float>(channels, values, 1)),
        inverse_std(filled<float>(channels, Values::kPositive, 2)),
        weight(filled<float>(channels, values, 3)),
        bias(filled<float>(channels, values, 4)) {
    if (values != Values::kIntegers) return;
    for (int64_t c = 0; c < channels; ++c) inverse_std[c] = c % 2 == 0 ? 1.0f : 0.5f;
  }
  template <class T>
  BatchNormInput<T> input(const Guarded<T>& x) const {
    return {x.data(), mean.data(), inverse_std.data(), weight.data(), bias.data()};
  }
};

template <class T>
void check_stem(const Images& s, Values values, Comparison& sums, Comparison& gradients) {
  Parameters parameters(s.channels, values);
  Guarded<T> x = stored<T>(filled<float>(s.size(), values, 5));
  Guarded<T> y(s.out_size()), without_index(s.out_size());
  Guarded<uint8_t> index(s.out_size());
  const BatchNormMaxPoolForward<T> forward{.input = parameters.input(x),
                                           .y = y.data(),
                                           .index = index.data(),
                                           .batch = s.batch,
                                           .height = s.height,
                                           .width = s.width,
                                           .channels = s.channels};
  run_checked({&x, &parameters.mean, &parameters.inverse_std, &parameters.weight, &parameters.bias},
              {&y, &index, &without_index}, [&] {
                device::run(forward);
                BatchNormMaxPoolForward<T> alone = forward;
                alone.y = without_index.data();
                alone.index = nullptr;
                device::run(alone);
              });
  CHECK(y.bytes == without_index.bytes);

  // The same, step by step.
  Guarded<T> normalised(s.size()), want_y(s.out_size());
  Guarded<uint8_t> want_index(s.out_size());
  device::run(BatchNormForward<T>{.input = forward.input,
                                  .y = normalised.data(),
                                  .relu = true,
                                  .rows = s.rows(),
                                  .channels = s.channels});
  device::run(MaxPoolForward<T>{normalised.data(), want_y.data(), want_index.data(), s.batch,
                                s.height, s.width, s.channels});
  for (int64_t i = 0; i < s.out_size(); ++i) {
    if (!(to_float(want_y[i]) > 0)) want_index[i] = forward.kNowhere;
  }
  CHECK(y.bytes == want_y.bytes);
  CHECK(index.bytes == want_index.bytes);

  const bool accumulate = s.channels % 2 == 1;
  Guarded<T> dy = stored<T>(filled<float>(s.out_size(), values, 6)), dx(s.size());
  if (accumulate) dx = stored<T>(filled<float>(s.size(), values, 7));
  Guarded<float> dweight = output<float>(s.channels, accumulate, values, 8),
                 dbias = output<float>(s.channels, accumulate, values, 9);
  const Guarded<T> dx_before = dx;
  const Guarded<float> dweight_before = dweight, dbias_before = dbias;
  BatchNormMaxPoolBackward<T> backward{.input = forward.input,
                                       .dy = dy.data(),
                                       .index = index.data(),
                                       .dx = {dx.data(), accumulate},
                                       .dweight = {dweight.data(), accumulate},
                                       .dbias = {dbias.data(), accumulate},
                                       .batch = s.batch,
                                       .height = s.height,
                                       .width = s.width,
                                       .channels = s.channels};
  Guarded<double> partials(backward.partials_size());
  backward.partials = partials.data();
  run_checked({&x, &dy, &index, &parameters.mean, &parameters.inverse_std, &parameters.weight},
              {&dx, &dweight, &dbias, &partials}, [&] { device::run(backward); });

  // The definition in double.
  std::vector<double> dz(static_cast<size_t>(s.size()), 0.0), dz_magnitude = dz;
  for (int64_t out = 0; out < s.out_size(); ++out) {
    if (index[out] == forward.kNowhere) continue;
    const int64_t c = out % s.channels, q = out / s.channels % s.out_width();
    const int64_t p = out / s.channels / s.out_width() % s.out_height();
    const int64_t n = out / s.channels / s.out_width() / s.out_height();
    const int64_t h = 2 * p - 1 + index[out] / 3, w = 2 * q - 1 + index[out] % 3;
    const auto at = static_cast<size_t>(((n * s.height + h) * s.width + w) * s.channels + c);
    dz[at] += to_float(dy[out]);
    dz_magnitude[at] += std::abs(to_float(dy[out]));
  }
  for (int64_t c = 0; c < s.channels; ++c) {
    const double mean = parameters.mean[c], inverse_std = parameters.inverse_std[c];
    const double weight = parameters.weight[c];
    double sum = 0, sum_x = 0, magnitude = 0, magnitude_x = 0;
    for (int64_t row = 0; row < s.rows(); ++row) {
      const auto at = static_cast<size_t>(row * s.channels + c);
      const double value = to_float(x[static_cast<int64_t>(at)]);
      sum += dz[at];
      sum_x += dz[at] * (value - mean) * inverse_std;
      magnitude += dz_magnitude[at];
      magnitude_x += dz_magnitude[at] * (std::abs(value) + std::abs(mean)) * inverse_std;
    }
    const double bias_start = accumulate ? dbias_before[c] : 0;
    const double weight_start = accumulate ? dweight_before[c] : 0;
    sums.value(dbias[c], bias_start + sum, std::abs(bias_start) + magnitude);
    sums.value(dweight[c], weight_start + sum_x, std::abs(weight_start) + magnitude_x);
    const auto rows = static_cast<double>(s.rows());
    for (int64_t row = 0; row < s.rows(); ++row) {
      const int64_t at = row * s.channels + c;
      const auto place = static_cast<size_t>(at);
      const double xhat = (to_float(x[at]) - mean) * inverse_std;
      const double xhat_magnitude = (std::abs(to_float(x[at])) + std::abs(mean)) * inverse_std;
      const double start = accumulate ? to_float(dx_before[at]) : 0;
      const double factor = weight * inverse_std;
      const double want = start + factor * (dz[place] - sum / rows - xhat * sum_x / rows);
      double terms = std::abs(start) + std::abs(factor) * (dz_magnitude[place] + magnitude / rows +
                                                           xhat_magnitude * magnitude_x / rows);
      if (std::is_same_v<T, Bf16>) terms += 0x1p13 * std::abs(want);  // half a unit
      gradients.value(to_float(dx[at]), want, terms);
    }
  }
  const std::string what = std::to_string(s.batch) + "x" + std::to_string(s.height) + "x" +
                           std::to_string(s.width) + "x" + std::to_string(s.channels) + " of " +
                           name_of(values);
  sums.check("stem, sums, " + what);
  gradients.check("stem, dx, " + what);
}

template <class T>
void check_stems(const char* type) {
  Comparison sums(false), gradients(false);
  for (const Images& shape : kShapes) {
    if (too_large(shape.size())) continue;
    for (Values values : {Values::kIntegers, Values::kNormal}) {
      check_stem<T>(shape, values, sums, gradients);
    }
  }
  sums.report(std::string("stem sums, ") + type);
  gradients.report(std::string("stem gradients, ") + type);
}

}  // namespace

TEST_CASE("batch norm, ReLU and max pool in one are those one after the other") {
  check_stems<float>("float");
#ifdef BASIN_TEST_EMULATED
  check_stems<Bf16>("bfloat16");
#endif
}

TEST_CASE("a stem by hand: negative numbers give 0, and no gradient") {
  // One image of 2x2: normalised -1, 3, 2, -4; the second image all negative.
  const float x[] = {-1, 3, 2, -4, -1, -2, -3, -4};
  const float zero = 0, one = 1;
  float y[2];
  uint8_t index[2];
  const BatchNormInput<float> input{
      .x = x, .mean = &zero, .inverse_std = &one, .weight = &one, .bias = &zero};
  device::run(BatchNormMaxPoolForward<float>{
      .input = input, .y = y, .index = index, .batch = 2, .height = 2, .width = 2, .channels = 1});
  CHECK(y[0] == 3);
  CHECK(index[0] == 5);
  CHECK(y[1] == 0);
  CHECK(index[1] == BatchNormMaxPoolForward<float>::kNowhere);
  const float dy[] = {8, 16};
  float dx[8], dweight, dbias;
  BatchNormMaxPoolBackward<float> call{.input = input,
                                       .dy = dy,
                                       .index = index,
                                       .dx = {dx},
                                       .dweight = {&dweight},
                                       .dbias = {&dbias},
                                       .batch = 2,
                                       .height = 2,
                                       .width = 2,
                                       .channels = 1};
  std::vector<double> partials(static_cast<size_t>(call.partials_size()));
  call.partials = partials.data();
  device::run(call);
  CHECK(dbias == 8);
  CHECK(dweight == 24);  // 8 * xhat, xhat 3
  // dz - mean(dz) - xhat * mean(dz * xhat), the means 1 and 3
  const float want[] = {2, -2, -7, 11, 2, 5, 8, 11};
  for (int i = 0; i < 8; ++i) CHECK(dx[i] == want[i]);
}

#ifndef BASIN_TEST_ON_DEVICE
TEST_CASE("gradient of batch_norm_max_pool, also of an input that is used twice") {
  for (const Shape& shape : {Shape{2, 5, 4, 3}, Shape{1, 6, 7, 2}, Shape{3, 1, 2, 5}}) {
    Inputs inputs;
    const Tensor x = inputs.add("x", shape);
    const BatchNorm norm = inputs.add_norm("", shape[3]);
    inputs.allocate();
    draw_away_from_zero(
        inputs,
        [&](Tape& tape) {
          space_out(x);
          return batch_norm(tape, x, norm, Mode::kTrain, {}, false);
        },
        0.01);
    const auto op = [&](Tape& tape) { return batch_norm_max_pool(tape, x, norm, Mode::kTrain); };
    inputs.check("batch_norm_max_pool " + shape.text(), op);
    inputs.check_twice("batch_norm_max_pool " + shape.text(), op);
  }
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: of equals the last
//   - z > largest[k]
//   + z >= largest[k]
// cpu: compared before it is rounded
//   - to_float(from_float<T>(normalisation.of(k, x[k])))
//   + normalisation.of(k, x[k])
// cpu: half of the windows of a pixel
//   - q <= (w + 1) / 2 && q < out_width
//   + q <= w / 2 && q < out_width
// clang-format on
