// Gram matrices and HSIC on the CPU. A Gram matrix is made tile by tile of its lower triangle, by
// the matrix product of gemm.cpp on float, over chunks of columns whose sums are added in double.
#include "kernels/hsic/call.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"
#include "kernels/gemm/call.h"

namespace basin::cpu {
namespace {

constexpr int64_t kTile = 64;
constexpr int64_t kColumns = 4096;  // of a chunk: of a few hundred rows it fits the shared cache

// The means that centring takes off, from a matrix's sums; and what is rounding.
struct Centring {
  std::vector<double> terms;
  double rounding = 0;

  Centring(const double* sums, const double* largest, int64_t size) {
    double total = 0;
    for (int64_t i = 0; i < size; ++i) {
      total += sums[i];
      rounding = std::max(rounding, Hsic::kRounding * largest[i]);
    }
    for (int64_t i = 0; i < size; ++i) {
      terms.push_back(sums[i] / static_cast<double>(size - 2) -
                      total / static_cast<double>(2 * (size - 1) * (size - 2)));
    }
  }
  double of(double value, int64_t i, int64_t j) const {
    const double centred = value - terms[static_cast<size_t>(i)] - terms[static_cast<size_t>(j)];
    return std::abs(centred) <= rounding ? 0 : centred;
  }
};

template <class T>
void compute(const Gram<T>& call) {
  const int64_t rows = call.rows, tiles = (rows + kTile - 1) / kTile;
  std::vector<T> centred(static_cast<size_t>(rows * std::min(kColumns, call.columns)));
  struct Place {
    int64_t row, column;
  };
  std::vector<Place> places;  // of the tiles
  for (int64_t row = 0; row < tiles; ++row) {
    for (int64_t column = 0; column <= row; ++column) {
      places.push_back({row * kTile, column * kTile});
    }
  }
  for (int64_t begin = 0; begin < call.columns; begin += kColumns) {
    const int64_t width = std::min(kColumns, call.columns - begin);
    parallel_for(rows, [&](int64_t row) {
      const T* x = call.x + row * call.columns + begin;
      T* out = centred.data() + row * width;
      for (int64_t c = 0; c < width; ++c) out[c] = x[c] + call.shift[begin + c];
    });
    parallel_for(static_cast<int64_t>(places.size()), [&](int64_t index) {
      const Place place = places[static_cast<size_t>(index)];
      const int64_t height = std::min(kTile, rows - place.row);
      const int64_t across = std::min(kTile, rows - place.column);
      T products[kTile * kTile];
      run(Gemm<T>{false, true, height, across, width, centred.data() + place.row * width,
                  centred.data() + place.column * width, products, false});
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t j = 0; j < across && place.column + j <= place.row + i; ++j) {
          double& sum = call.k[(place.row + i) * rows + place.column + j];
          sum = (begin == 0 ? 0 : sum) + static_cast<double>(products[i * across + j]);
        }
      }
    });
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < i; ++j) call.k[j * rows + i] = call.k[i * rows + j];
  }
}

void compute(const GramSums& call) {
  parallel_for(call.size, [&](int64_t i) {
    double sum = 0, largest = 0;
    for (int64_t j = 0; j < call.size; ++j) {
      const double value = call.k[i * call.size + j];
      if (j != i) sum += value;
      largest = std::max(largest, std::abs(value));
    }
    call.sums[i] = sum;
    call.largest[i] = largest;
  });
}

void compute(const Hsic& call) {
  const int64_t size = call.size;
  const Centring k(call.k_sums, call.k_largest, size), l(call.l_sums, call.l_largest, size);
  parallel_for(size, [&](int64_t i) {
    double sums[3] = {};
    for (int64_t j = 0; j < size; ++j) {
      if (j == i) continue;
      const double a = k.of(call.k[i * size + j], i, j), b = l.of(call.l[i * size + j], i, j);
      sums[0] += a * b;
      sums[1] += a * a;
      sums[2] += b * b;
    }
    for (int64_t s = 0; s < 3; ++s) call.partials[s * size + i] = sums[s];
  });
  for (int64_t s = 0; s < 3; ++s) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += call.partials[s * size + i];
    call.hsic[s] = sum / static_cast<double>(size * (size - 3));
  }
}

}  // namespace

BASIN_CPU_RUN(Gram<float>)
BASIN_CPU_RUN(Gram<double>)

BASIN_CPU_RUN(GramSums)
BASIN_CPU_RUN(Hsic)

}  // namespace basin::cpu
