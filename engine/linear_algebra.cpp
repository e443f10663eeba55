// Gram matrices by calls on the device; HSIC, which is little work, on the host in double.
#include "engine/linear_algebra.h"

#include <algorithm>
#include <cmath>

#include "engine/transfer.h"
#include "kernels/base/parallel.h"
#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"
#include "kernels/gemm/call.h"
#include "kernels/gram/call.h"

namespace basin {
namespace {

// A symmetric matrix [n, n], U-centred: u_ij = k_ij - t_i - t_j off the diagonal, with
// t_i = sum_i / (n-2) - total / (2 (n-1) (n-2)). Szekely, Rizzo, "Partial distance correlation with
// methods for dissimilarities" (Annals of Statistics, 2014).
class Centred {
 public:
  Centred(const std::vector<double>& k, int64_t n)
      : k_(k.data()), n_(n), terms_(static_cast<size_t>(n)) {
    std::vector<double> largest(terms_.size());
    parallel_for(n, [&](int64_t i) {
      double sum = 0, most = 0;
      for (int64_t j = 0; j < n; ++j) {
        const double value = k_[i * n + j];
        if (j != i) sum += value;
        most = std::max(most, std::abs(value));
      }
      terms_[static_cast<size_t>(i)] = sum;
      largest[static_cast<size_t>(i)] = most;
    });
    double total = 0;
    for (const double sum : terms_) total += sum;
    for (double& term : terms_) {
      term = term / static_cast<double>(n - 2) - total / static_cast<double>(2 * (n - 1) * (n - 2));
    }
    rounding_ = 1e-12 * *std::max_element(largest.begin(), largest.end());
  }

  // What only rounding has left counts as 0: otherwise equal features would seem to vary.
  double operator()(int64_t i, int64_t j) const {
    const double u =
        k_[i * n_ + j] - terms_[static_cast<size_t>(i)] - terms_[static_cast<size_t>(j)];
    return std::abs(u) <= rounding_ ? 0 : u;
  }

 private:
  const double* k_;
  int64_t n_;
  std::vector<double> terms_;
  double rounding_ = 0;
};

}  // namespace

std::vector<double> image_gram(Tape& tape, const Tensor& x) {
  const int64_t images = x.shape()[0], features = x.size() / images;
  Stream& stream = tape.stream();
  const Tensor gram = tape.empty({images, images}, DType::kF64);
  const Tensor sum = tape.empty({features}, DType::kF32);
  const Tensor minus_mean = tape.empty({features}, DType::kF32);
  const Tensor factor = tape.empty({1}, DType::kF32);
  run(Fill<float>{factor.data<float>(), -1 / static_cast<float>(images), 1}, stream);
  run(
      ColumnSum<float>{
          .x = x.data<float>(), .y = {sum.data<float>()}, .rows = images, .columns = features},
      stream);
  run(Scale<float>{.x = sum.data<float>(),
                   .factor = factor.data<float>(),
                   .y = {minus_mean.data<float>()},
                   .size = features},
      stream);
  Gram call{.x = x.data<float>(),
            .shift = minus_mean.data<float>(),
            .k = gram.data<double>(),
            .partials = nullptr,
            .rows = images,
            .columns = features};
  const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
  call.partials = partials.data<double>();
  run(call, stream);
  return download<double>(gram, stream);
}

std::vector<double> channel_gram(Tape& tape, const Tensor& x) {
  constexpr int64_t kPlaces = 8192;
  const int64_t channels = x.shape()[x.shape().rank() - 1], places = x.size() / channels;
  // A product with this is minus the mean over the channels, with the same bits for every channel:
  // where all channels are equal, so is what rounding leaves of them.
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

HsicValues unbiased_hsic(const std::vector<double>& k, const std::vector<double>& l, int64_t n) {
  BASIN_CHECK(n >= 4, "HSIC_1 is defined for four examples or more, not for ", n);
  BASIN_CHECK(k.size() == static_cast<size_t>(n * n) && l.size() == k.size(), "Gram matrices of ",
              k.size(), " and ", l.size(), " elements; ", n, " examples make ", n * n);
  const Centred centred_k(k, n), centred_l(l, n);
  std::vector<HsicValues> rows(static_cast<size_t>(n));
  parallel_for(n, [&](int64_t i) {
    HsicValues row{0, 0, 0};
    for (int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const double a = centred_k(i, j), b = centred_l(i, j);
      row.kl += a * b;
      row.kk += a * a;
      row.ll += b * b;
    }
    rows[static_cast<size_t>(i)] = row;
  });
  // The inner products of the centred matrices: the expression of Nguyen et al. without its
  // differences of large sums.
  HsicValues hsic{0, 0, 0};
  for (const HsicValues& row : rows) {
    hsic.kl += row.kl;
    hsic.kk += row.kk;
    hsic.ll += row.ll;
  }
  const auto pairs = static_cast<double>(n * (n - 3));
  return {hsic.kl / pairs, hsic.kk / pairs, hsic.ll / pairs};
}

}  // namespace basin
