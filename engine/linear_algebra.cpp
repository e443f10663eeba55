// Gram matrices and HSIC by the calls of kernels/.
#include "engine/linear_algebra.h"

#include <algorithm>

#include "engine/transfer.h"
#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"
#include "kernels/gemm/call.h"
#include "kernels/hsic/call.h"

namespace basin {
namespace {

// What HSIC of k and l takes, in this order. `scratch`: hsic_scratch(n) elements, which begin with
// the three results.
struct HsicCalls {
  GramSums k_sums, l_sums;
  Hsic hsic;
};

int64_t hsic_scratch(int64_t n) {
  return 3 + 7 * n;
}

HsicCalls hsic_calls(const double* k, const double* l, int64_t n, double* scratch) {
  BASIN_CHECK(n >= 4, "HSIC_1 is defined for four examples or more, not for ", n);
  double *sums = scratch + 3, *partials = sums + 4 * n;
  return {{k, sums, sums + n, n},
          {l, sums + 2 * n, sums + 3 * n, n},
          {k, l, sums, sums + n, sums + 2 * n, sums + 3 * n, scratch, partials, n}};
}

}  // namespace

Tensor image_gram(Tape& tape, const Tensor& x) {
  const int64_t images = x.shape()[0], features = x.size() / images;
  const Tensor gram = tape.empty({images, images}, DType::kF64);
  dispatch(x.dtype(), [&]<class T>() {
    using P = ParameterType<T>;
    Stream& stream = tape.stream();
    const Tensor sum = tape.empty({features}, dtype_of<P>());
    const Tensor minus_mean = tape.empty({features}, dtype_of<P>());
    const Tensor factor = tape.empty({1}, dtype_of<P>());
    run(Fill<P>{factor.data<P>(), -1 / static_cast<P>(images), 1}, stream);
    run(ColumnSum<T>{.x = x.data<T>(), .y = {sum.data<P>()}, .rows = images, .columns = features},
        stream);
    run(Scale<P>{.x = sum.data<P>(),
                 .factor = factor.data<P>(),
                 .y = {minus_mean.data<P>()},
                 .size = features},
        stream);
    Gram<T> call{x.data<T>(), minus_mean.data<P>(), gram.data<double>(), nullptr, images, features};
    const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
    call.partials = partials.data<double>();
    run(call, stream);
  });
  return gram;
}

std::vector<double> channel_gram(Tape& tape, const Tensor& x) {
  constexpr int64_t kPlaces = 8192;
  const int64_t channels = x.shape()[x.shape().rank() - 1], places = x.size() / channels;
  // A product with this is minus the mean over the channels, of the same bits for every channel:
  // where all channels are equal, what rounding leaves of them is equal, too.
  const Tensor minus_share = tape.empty({channels, channels}, DType::kF32);
  run(Fill<float>{minus_share.data<float>(), -1 / static_cast<float>(channels), minus_share.size()},
      tape.stream());
  const Tensor centred = tape.empty({std::min(places, kPlaces), channels}, DType::kF32);
  const Tensor part = tape.empty({channels, channels}, DType::kF32);
  std::vector<double> gram(static_cast<size_t>(part.size()));
  for (int64_t begin = 0; begin < places; begin += kPlaces) {
    const int64_t rows = std::min(kPlaces, places - begin);
    const float* values = x.data<float>() + begin * channels;
    run(Gemm<float>{false, false, rows, channels, channels, values, minus_share.data<float>(),
                    centred.data<float>(), false},
        tape.stream());
    run(Add<float>{values, centred.data<float>(), centred.data<float>(), rows * channels},
        tape.stream());
    run(Gemm<float>{true, false, channels, channels, rows, centred.data<float>(),
                    centred.data<float>(), part.data<float>(), false},
        tape.stream());
    const std::vector<float> products = download<float>(part, tape.stream());
    for (size_t i = 0; i < gram.size(); ++i) gram[i] += products[i];
  }
  return gram;
}

HsicValues unbiased_hsic(Tape& tape, const Tensor& k, const Tensor& l) {
  const int64_t n = k.shape()[0];
  BASIN_CHECK(k.shape() == Shape({n, n}) && l.shape() == k.shape(), "Gram matrices ",
              k.shape().text(), " and ", l.shape().text(), " are not of the same examples");
  const Tensor scratch = tape.empty({hsic_scratch(n)}, DType::kF64);
  const HsicCalls calls = hsic_calls(k.data<double>(), l.data<double>(), n, scratch.data<double>());
  run(calls.k_sums, tape.stream());
  run(calls.l_sums, tape.stream());
  run(calls.hsic, tape.stream());
  const std::vector<double> values = download<double>(scratch, tape.stream());
  return {values[0], values[1], values[2]};
}

HsicValues unbiased_hsic(const std::vector<double>& k, const std::vector<double>& l, int64_t n) {
  BASIN_CHECK(k.size() == static_cast<size_t>(n * n) && l.size() == k.size(), "Gram matrices of ",
              k.size(), " and ", l.size(), " elements; ", n, " examples make ", n * n);
  std::vector<double> scratch(static_cast<size_t>(hsic_scratch(n)));
  const HsicCalls calls = hsic_calls(k.data(), l.data(), n, scratch.data());
  cpu::run(calls.k_sums);
  cpu::run(calls.l_sums);
  cpu::run(calls.hsic);
  return {scratch[0], scratch[1], scratch[2]};
}

}  // namespace basin
