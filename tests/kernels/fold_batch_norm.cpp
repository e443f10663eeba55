// Batch norm folded into convolution weights, against the same in double.
#include "kernels/fold_batch_norm/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

constexpr int64_t kFilters = 5;
constexpr int64_t kFirst = 72;  // where the filters begin, each followed by a gap of 3 elements
// Parameters: 0..4 the weights of the norm, 32..36 its biases. Buffers: 0..4 its means, 8..12 its
// variances.
std::vector<NormalisedFilter> filters_of_size(int64_t size) {
  std::vector<NormalisedFilter> filters;
  for (int64_t f = 0; f < kFilters; ++f) {
    filters.push_back({kFirst + f * (size + 3), size, f, 32 + f, f, 8 + f, f});
  }
  return filters;
}

template <class T>
void check_folding(int64_t filter_size, Values values, Comparison& comparison) {
  constexpr double kEpsilon = 0.5;
  const int64_t parameter_count = kFirst + kFilters * (filter_size + 3);
  Guarded<float> parameters = filled<float>(parameter_count, values, 1),
                 buffers = filled<float>(16, values, 2);
  for (int64_t i = 8; i < 16; ++i) {
    // 1/sqrt(3.5 + 0.5) is exact.
    buffers[i] = values == Values::kIntegers ? 3.5f : 0.25f * static_cast<float>(i);
  }
  const std::vector<NormalisedFilter> list = filters_of_size(filter_size);
  Guarded<NormalisedFilter> filters(kFilters);
  std::copy(list.begin(), list.end(), filters.data());
  Guarded<T> weights(parameter_count), biases(kFilters);
  const Guarded<T> untouched = weights;
  run_checked({&parameters, &buffers, &filters}, {&weights, &biases}, [&] {
    device::run(FoldBatchNorm<T>{.parameters = parameters.data(),
                                 .buffers = buffers.data(),
                                 .epsilon = kEpsilon,
                                 .filters = filters.data(),
                                 .filter_count = kFilters,
                                 .size = kFilters * filter_size,
                                 .weights = weights.data(),
                                 .biases = biases.data()});
  });

  std::vector<bool> written(static_cast<size_t>(parameter_count));
  const auto compare = [&](T got, double want, double magnitude) {
    if (std::is_same_v<T, Bf16>) magnitude += 0x1p13 * std::abs(want);  // half a unit
    comparison.value(to_float(got), want, magnitude);
  };
  for (const NormalisedFilter& filter : list) {
    const double factor =
        parameters[filter.norm_weight] / std::sqrt(buffers[filter.norm_variance] + kEpsilon);
    for (int64_t i = filter.offset; i < filter.offset + filter.size; ++i) {
      written[static_cast<size_t>(i)] = true;
      compare(weights[i], factor * parameters[i], std::abs(factor * parameters[i]));
    }
    const double bias = parameters[filter.norm_bias], shift = buffers[filter.norm_mean] * factor;
    compare(biases[filter.bias], bias - shift, std::abs(bias) + std::abs(shift));
  }
  int64_t touched = 0;
  for (int64_t i = 0; i < parameter_count; ++i) {
    if (written[static_cast<size_t>(i)]) continue;
    touched += std::memcmp(&weights[i], &untouched[i], sizeof(T)) != 0;
  }
  CHECK_MESSAGE(touched == 0, touched, " elements outside of the filters changed");
  comparison.check("filters of " + std::to_string(filter_size));
}

}  // namespace

TEST_CASE("folded batch norm is exact on small integers") {
  Comparison comparison(true);
  for (int64_t size : {1, 9, 16, 27, 60, 600}) {
    check_folding<float>(size, Values::kIntegers, comparison);
  }
}

TEST_CASE("folded batch norm is within the tolerance on random numbers") {
  Comparison single(false);
  for (int64_t size : {27, 64}) check_folding<float>(size, Values::kNormal, single);
  single.report("folded batch norm");
#ifdef BASIN_TEST_ON_DEVICE
  Comparison half(false);
  for (int64_t size : {27, 64}) check_folding<Bf16>(size, Values::kNormal, half);
  half.report("folded batch norm of bfloat16");
#endif
}

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: a tail taken for a whole vector
//   - filter.size - i < kCount ? filter.size - i : kCount
//   + kCount
// cpu: elements past the first round of the block left out
//   - i < filter.size; i += kFilterThreads * kCount
//   + i < filter.size && i < kFilterThreads * kCount; i += kFilterThreads * kCount
// tsan: a bias written by all threads of a block
//   - threadIdx.x == 0
//   + true
// clang-format on
