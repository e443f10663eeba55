// Gram matrices on the CPU: the lower triangle tile by tile, each by matrix products over chunks of
// columns, which are added in double.
#include "kernels/gram/call.h"

#include <algorithm>
#include <vector>

#include "kernels/base/parallel.h"
#include "kernels/device/declarations.h"
#include "kernels/gemm/call.h"

namespace basin::cpu {
namespace {

constexpr int64_t kTile = 64;
constexpr int64_t kColumns =
    4096;  // of a chunk, which fits the shared cache for a few hundred rows

void compute(const Gram& call) {
  const int64_t rows = call.rows, tiles = (rows + kTile - 1) / kTile;
  std::vector<float> centred(static_cast<size_t>(rows * std::min(kColumns, call.columns)));
  struct Place {
    int64_t row, column;  // of a tile
  };
  std::vector<Place> places;
  for (int64_t row = 0; row < tiles; ++row) {
    for (int64_t column = 0; column <= row; ++column) {
      places.push_back({row * kTile, column * kTile});
    }
  }
  for (int64_t begin = 0; begin < call.columns; begin += kColumns) {
    const int64_t width = std::min(kColumns, call.columns - begin);
    parallel_for(rows, [&](int64_t row) {
      const float* x = call.x + row * call.columns + begin;
      float* out = centred.data() + row * width;
      for (int64_t c = 0; c < width; ++c) out[c] = x[c] + call.shift[begin + c];
    });
    parallel_for(static_cast<int64_t>(places.size()), [&](int64_t index) {
      const Place place = places[static_cast<size_t>(index)];
      const int64_t height = std::min(kTile, rows - place.row);
      const int64_t across = std::min(kTile, rows - place.column);
      float products[kTile * kTile];
      run(Gemm<float>{false, true, height, across, width, centred.data() + place.row * width,
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

}  // namespace

BASIN_CPU_RUN(Gram)

}  // namespace basin::cpu
