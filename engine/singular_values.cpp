// Singular values, by Eigen. A file of its own: Eigen wants options, and the compiler's time.
#define EIGEN_MPL2_ONLY  // none of the few parts under another licence
#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>

#include "engine/linear_algebra.h"

namespace basin {

// The first half of Eigen::BDCSVD makes the matrix bidiagonal. Its second half takes a compiler
// longer than the rest of the engine, and is for singular vectors; for values alone there is
// Golub and Kahan, "Calculating the singular values and pseudo-inverse of a matrix" (1965),
// section 3: of the tridiagonal matrix that has zeros on its diagonal and the elements of the
// bidiagonal one, in turn, beside it, the eigenvalues are the singular values and their negatives.
std::vector<double> singular_values(const std::vector<float>& x, int64_t rows) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const int64_t columns = static_cast<int64_t>(x.size()) / rows, count = std::min(rows, columns);
  Eigen::MatrixXd matrix = Eigen::Map<const RowMajor>(x.data(), rows, columns).cast<double>();
  BASIN_CHECK(matrix.allFinite(), "singular values of a matrix [", rows, ", ", columns,
              "] that holds infinite values or NaN; did its training diverge?");
  if (rows < columns) matrix = matrix.transpose().eval();
  const Eigen::internal::UpperBidiagonalization<Eigen::MatrixXd> upper(matrix);
  const auto& diagonals = upper.bidiagonal().coeffs();  // as LAPACK keeps a band matrix
  Eigen::VectorXd beside(2 * count - 1);
  for (int64_t i = 0; i < count; ++i) {
    beside[2 * i] = diagonals(1, i);
    if (i > 0) beside[2 * i - 1] = diagonals(0, i);
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver;
  solver.computeFromTridiagonal(Eigen::VectorXd::Zero(2 * count), beside, Eigen::EigenvaluesOnly);
  BASIN_CHECK(solver.info() == Eigen::Success, "singular values of a matrix [", rows, ", ", columns,
              "]: the iteration did not converge");
  std::vector<double> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    // Ascending, the negatives first. Of a value that is zero, rounding may make one below it.
    values[static_cast<size_t>(i)] = std::max(0.0, solver.eigenvalues()[2 * count - 1 - i]);
  }
  return values;
}

}  // namespace basin
