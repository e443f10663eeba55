// Gram matrices as CUDA kernels.
//
// k[i, j] = sum over c of (x[i, c] + shift[c]) * (x[j, c] + shift[c]). A block of 256 threads makes
// a tile of 64 x 64 of the lower triangle for a chunk of columns, each thread 4 x 4 of it. 16
// columns at a time are shifted, brought to shared memory as float, and multiplied and added in
// float. These sums are added in a CompensatedSum and go to `partials` in double. A second kernel
// adds the chunks of an element in order and mirrors it. Chunks depend on the shape alone, so the
// order of the sums does too. Reads x once for each tile across, from cache where it fits.
#include "kernels/gram/call.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kTile = 64, kDepth = 16, kSide = 16, kQuad = 4;
static_assert(kTile == kSide * kQuad && kTile * kDepth == kThreads * kQuad);

// The columns of a tile's rows, column first. One element of padding: threads that write down a
// column meet fewer of the same banks.
using Operand = float[kDepth][kTile + 1];

// Brings columns [first, first + kDepth) of rows [row, row + kTile), shifted; 0 past the end.
__device__ void bring(const Gram& call, int64_t row, int64_t first, int64_t end, Operand& operand) {
  const int line = static_cast<int>(threadIdx.x) / (kDepth / kQuad);
  const int depth = static_cast<int>(threadIdx.x) % (kDepth / kQuad) * kQuad;
  const int64_t column = first + depth, left = end - column;
  int count = left <= 0 ? 0 : static_cast<int>(left < kQuad ? left : kQuad);
  if (row + line >= call.rows) count = 0;
  float x[kQuad] = {}, shift[kQuad] = {};
  if (count > 0) {
    load(call.x + (row + line) * call.columns + column, count, x);
    load(call.shift + column, count, shift);
  }
  for (int i = 0; i < kQuad; ++i) operand[depth + i][line] = x[i] + shift[i];
}

__global__ void gram_chunk(Gram call) {
  BASIN_SHARED(rows, Operand);
  BASIN_SHARED(columns, Operand);
  // Tiles of the lower triangle, row by row.
  int64_t tile_row = 0, tile_column = blockIdx.x;
  while (tile_column > tile_row) tile_column -= ++tile_row;
  const int64_t first_row = tile_row * kTile, first_column = tile_column * kTile;
  const int64_t begin = int64_t{blockIdx.y} * call.chunk_columns();
  const int64_t end = min(begin + call.chunk_columns(), call.columns);
  const int down = static_cast<int>(threadIdx.x) / kSide * kQuad;
  const int across = static_cast<int>(threadIdx.x) % kSide;
  CompensatedSum sums[kQuad][kQuad];
  for (int64_t c = begin; c < end; c += kDepth) {
    bring(call, first_row, c, end, rows);
    bring(call, first_column, c, end, columns);
    __syncthreads();  // both operands are complete
    float step[kQuad][kQuad] = {};
    for (int depth = 0; depth < kDepth; ++depth) {
      float row[kQuad], column[kQuad];
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
        row[i] = rows[depth][down + i];
        column[i] = columns[depth][across + i * kSide];
      }
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
#pragma unroll
        for (int j = 0; j < kQuad; ++j) step[i][j] += row[i] * column[j];
      }
    }
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
#pragma unroll
      for (int j = 0; j < kQuad; ++j) sums[i][j].add(step[i][j]);
    }
    __syncthreads();  // all threads have read them
  }
  double* partials = call.partials + int64_t{blockIdx.y} * call.rows * call.rows;
#pragma unroll
  for (int i = 0; i < kQuad; ++i) {
#pragma unroll
    for (int j = 0; j < kQuad; ++j) {
      const int64_t row = first_row + down + i, column = first_column + across + j * kSide;
      if (row < call.rows && column <= row) {
        partials[row * call.rows + column] = sums[i][j].value();
      }
    }
  }
}

__global__ void add_gram_chunks(Gram call) {
  const int64_t size = call.rows * call.rows, chunks = call.chunks();
  for_each_vector<1>(size, [&](int64_t index, int) {
    const int64_t i = index / call.rows, j = index % call.rows;
    if (j > i) return;
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += call.partials[chunk * size + index];
    call.k[index] = sum;
    call.k[j * call.rows + i] = sum;
  });
}

void launch_call(const Gram& call, StreamHandle stream) {
  const int64_t tiles = (call.rows + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(tiles * (tiles + 1) / 2),
                  static_cast<unsigned>(call.chunks()));
  launch(gram_chunk, grid, kThreads, 0, stream, call);
  launch(add_gram_chunks, blocks_for(call.rows * call.rows, 1), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(Gram)

}  // namespace basin
