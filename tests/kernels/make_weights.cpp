// Made weights against the line, the noise and the folds in double, and against the calls that move
// parameters one step at a time.
#include "kernels/make_weights/call.h"

#include "kernels/elementwise/call.h"
#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

// A convolution with batch norm, one with a scale, a part that stays as it is; and gaps.
struct Network {
  static constexpr int64_t kFilters = 5, kScaled = 400, kPlain = 730;
  static constexpr int64_t kParameters = 1000, kBuffers = 16;
  std::vector<WeightRow> rows;
  std::vector<bool> made = std::vector<bool>(kParameters, false);

  explicit Network(int64_t filter_size) {
    // Parameters: 0..4 the weights of the norm, 32..36 its biases, 64 the scale.
    for (int64_t f = 0; f < kFilters; ++f) {
      rows.push_back({72 + f * filter_size, filter_size, -1, f, 32 + f, f, 8 + f, f});
      rows.push_back({kScaled + f * filter_size, filter_size, 64, -1, -1, -1, -1, -1});
    }
    rows.push_back({kPlain, 131, -1, -1, -1, -1, -1, -1});
    rows.push_back({kParameters - 1, 1, -1, -1, -1, -1, -1, -1});
    for (const WeightRow& row : rows) {
      for (int64_t i = 0; i < row.size; ++i) made[static_cast<size_t>(row.offset + i)] = true;
    }
  }
  int64_t size() const { return std::count(made.begin(), made.end(), true); }
};

struct Setting {
  double t, sigma;
  int64_t noise_begin, noise_end;
  bool one_set = false;  // b is a
};

template <class T>
void check_weights(const Network& network, const Setting& setting, Values values,
                   Comparison& comparison) {
  constexpr uint64_t kSeed = 0x123456789;
  constexpr uint32_t kDraw = 3;
  constexpr double kEpsilon = 0.5;
  Guarded<float> a = filled<float>(Network::kParameters, values, 1),
                 b = filled<float>(Network::kParameters, values, 2),
                 buffers_a = filled<float>(Network::kBuffers, values, 3),
                 buffers_b = filled<float>(Network::kBuffers, values, 4);
  if (setting.one_set) b = a;
  for (int64_t i = 8; i < Network::kBuffers; ++i) {  // variances
    buffers_a[i] = buffers_b[i] = 3.5f;              // 1/sqrt(3.5 + 0.5) is exact
    if (values != Values::kIntegers) buffers_b[i] = 0.25f * static_cast<float>(i);
  }
  Guarded<WeightRow> rows(static_cast<int64_t>(network.rows.size()));
  std::copy(network.rows.begin(), network.rows.end(), rows.data());
  Guarded<T> weights(Network::kParameters);
  const Guarded<T> untouched = weights;
  Guarded<T> biases(Network::kFilters);
  run_checked({&a, &b, &buffers_a, &buffers_b, &rows}, {&weights, &biases}, [&] {
    device::run(MakeWeights<T>{a.data(), setting.one_set ? a.data() : b.data(), buffers_a.data(),
                               buffers_b.data(), setting.t, setting.sigma, kSeed, kDraw,
                               setting.noise_begin, setting.noise_end, kEpsilon, rows.data(),
                               rows.size(), network.size(), weights.data(), biases.data()});
  });

  // The value and the sum of the absolute values of its terms.
  struct Number {
    double value, magnitude;
  };
  const auto on_line = [&](const Guarded<float>& from, const Guarded<float>& to, int64_t i) {
    const double x = from[i], y = to[i], t = setting.t;
    // t is rounded to float, like every other term.
    return Number{(1 - t) * x + t * y, std::abs(x) + std::abs(t) * (std::abs(x) + std::abs(y))};
  };
  const auto parameter = [&](int64_t i) {
    Number number = on_line(a, b, i);
    if (i >= setting.noise_begin && i < setting.noise_end) {
      RandomStream random(kSeed, RandomPurpose::kNoise, kDraw, static_cast<uint32_t>(i));
      const double noise = setting.sigma * random.normal();
      number.value += noise;
      number.magnitude += std::abs(noise);
    }
    return number;
  };
  for (const WeightRow& row : network.rows) {
    Number factor{1, 1};
    if (row.scale >= 0) factor = parameter(row.scale);
    if (row.norm_weight >= 0) {
      const double variance = on_line(buffers_a, buffers_b, row.norm_variance).value;
      factor = parameter(row.norm_weight);
      factor.value /= std::sqrt(variance + kEpsilon);
      factor.magnitude /= std::sqrt(variance + kEpsilon);
    }
    for (int64_t i = row.offset; i < row.offset + row.size; ++i) {
      const Number p = parameter(i);
      const double want = factor.value * p.value;
      double magnitude = factor.magnitude * p.magnitude;
      if (std::is_same_v<T, Bf16>) magnitude += 0x1p13 * std::abs(want);  // half a unit
      comparison.value(to_float(weights[i]), want, magnitude);
    }
    if (row.bias < 0) continue;
    const Number norm_bias = parameter(row.norm_bias);
    const Number mean = on_line(buffers_a, buffers_b, row.norm_mean);
    const double want = norm_bias.value - mean.value * factor.value;
    double magnitude = norm_bias.magnitude + mean.magnitude * factor.magnitude;
    if (std::is_same_v<T, Bf16>) magnitude += 0x1p13 * std::abs(want);
    comparison.value(to_float(biases[row.bias]), want, magnitude);
  }
  int64_t touched = 0;
  for (int64_t i = 0; i < Network::kParameters; ++i) {
    if (network.made[static_cast<size_t>(i)]) continue;
    touched += std::memcmp(&weights[i], &untouched[i], sizeof(T)) != 0;
  }
  CHECK_MESSAGE(touched == 0, touched, " elements outside of the rows changed");
  comparison.check("t " + std::to_string(setting.t) + ", sigma " + std::to_string(setting.sigma));
}

const Setting kSettings[] = {{0.25, 0, 0, 0},
                             {0, 0, 0, 0},
                             {1, 0, 0, 0},
                             {-0.5, 0.5, 0, Network::kParameters},
                             {1.5, 0.125, 100, 450},
                             {0.25, 0, 0, 0, true},
                             {0.25, 0.125, 100, 450, true}};

}  // namespace

TEST_CASE("made weights are exact on small integers") {
  Comparison comparison(true);
  for (int64_t filter_size : {1, 9, 16, 27, 60}) {
    for (const Setting& setting : kSettings) {
      if (setting.sigma != 0) continue;
      check_weights<float>(Network(filter_size), setting, Values::kIntegers, comparison);
    }
  }
}

TEST_CASE("made weights are within the tolerance on random numbers") {
  Comparison single(false), half(false);
  for (const Setting& setting : kSettings) {
    check_weights<float>(Network(27), setting, Values::kNormal, single);
    check_weights<Bf16>(Network(64), setting, Values::kNormal, half);
  }
  single.report("made weights");
  half.report("made weights of bfloat16");
}

TEST_CASE("made weights are those of an interpolation and its noise, in every bit") {
  constexpr int64_t kSize = 300;
  Guarded<float> a = filled<float>(kSize, Values::kNormal, 1),
                 b = filled<float>(kSize, Values::kNormal, 2), made(kSize), moved(kSize);
  Guarded<WeightRow> rows(1);
  rows[0] = {0, kSize, -1, -1, -1, -1, -1, -1};
  for (double t : {0.0, 0.3, 1.0}) {
    run_checked({&a, &b, &rows}, {&made, &moved}, [&] {
      device::run(MakeWeights<float>{a.data(), b.data(), nullptr, nullptr, t, 0.1, 5, 2, 40, 250, 0,
                                     rows.data(), 1, kSize, made.data(), nullptr});
      device::run(Lerp<float>{a.data(), b.data(), moved.data(), t, kSize});
      device::run(AddNoise<float>{moved.data() + 40, 0.1, 5, 2, 40, 210});
    });
    CHECK(made.bytes == moved.bytes);
  }
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: noise of the place in the row
//   - with_noise(call, first + k,
//   + with_noise(call, i + k,
// cpu: a tail taken for a whole vector
//   - row.size - i < kCount ? row.size - i : kCount
//   + kCount
// tsan: a bias written by all threads of a block
//   - threadIdx.x == 0 && row.bias >= 0
//   + row.bias >= 0
// clang-format on
