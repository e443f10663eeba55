// Gram matrices by the matrix product of kernels/, singular values by Eigen.
#include "engine/linear_algebra.h"

#define EIGEN_MPL2_ONLY  // none of the few parts under another licence
#include <Eigen/SVD>
#include <algorithm>

#include "engine/transfer.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/run.h"

namespace basin {

std::vector<double> image_gram(Tape& tape, const Tensor& x) {
  const int64_t images = x.shape()[0], features = x.size() / images;
  const Tensor sum = tape.empty({features}, DType::kF32);
  const Tensor minus_mean = tape.empty({features}, DType::kF32);
  const Tensor centred = tape.empty({images, features}, DType::kF32);
  const Tensor gram = tape.empty({images, images}, DType::kF32);
  const Tensor factor = tape.empty({1}, DType::kF32);
  Stream& stream = tape.stream();
  run(Fill<float>{factor.data<float>(), -1 / static_cast<float>(images), 1}, stream);
  run(ColumnSum<float>{x.data<float>(), sum.data<float>(), false, images, features}, stream);
  run(Scale<float>{sum.data<float>(), factor.data<float>(), minus_mean.data<float>(), false,
                   features},
      stream);
  run(AddBias<float>{x.data<float>(), minus_mean.data<float>(), centred.data<float>(), images,
                     features},
      stream);
  run(Gemm<float>{false, true, images, images, features, centred.data<float>(),
                  centred.data<float>(), gram.data<float>(), false},
      stream);
  const std::vector<float> products = download<float>(gram, stream);
  return {products.begin(), products.end()};
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

std::vector<double> singular_values(const std::vector<float>& x, int64_t rows) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const int64_t columns = static_cast<int64_t>(x.size()) / rows;
  const Eigen::MatrixXd matrix = Eigen::Map<const RowMajor>(x.data(), rows, columns).cast<double>();
  BASIN_CHECK(matrix.allFinite(), "singular values of a matrix [", rows, ", ", columns,
              "] that holds infinite values or NaN; did its training diverge?");
  const Eigen::VectorXd values = Eigen::BDCSVD<Eigen::MatrixXd>(matrix).singularValues();
  return {values.data(), values.data() + values.size()};
}

}  // namespace basin
