// Gram matrices and HSIC as CUDA kernels.
//
// Gram: k[i, j] = sum over c of (x[i, c] + shift[c]) * (x[j, c] + shift[c]). A block of 256 threads
// makes a tile of 64 x 64 of the lower triangle for a chunk of columns, a thread 4 x 4 of it: 16
// columns at a time are shifted and brought to shared memory as float, multiplied and added in
// float; these sums are added in a CompensatedSum, and go to `partials` in double. A second kernel
// adds the chunks of an element in order and mirrors it. Chunks depend on the shape alone. Reads x
// once for each tile across (from cache, where it fits).
//
// Sums: a block for each row of k; HSIC: a block for each row of k and l, whose sums go to
// `partials`, then a block for each of the three that adds the rows. All of it in double. A
// thread's part is a fixed stride, threads are added in the order of block_sum. Reads k and l once.
#include "kernels/hsic/call.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kTile = 64, kDepth = 16, kSide = 16, kQuad = 4;
static_assert(kTile == kSide * kQuad && kTile * kDepth == kThreads * kQuad);

// Columns of a tile's rows: the column first. Rows are longer than a tile, so that the threads that
// write down a column meet fewer of the same banks.
using Operand = float[kDepth][kTile + 1];

// Brings columns [first, first + kDepth) of rows [row, row + kTile), shifted; 0 beyond the end.
template <class T>
__device__ void bring(const Gram<T>& call, int64_t row, int64_t first, int64_t end,
                      Operand& operand) {
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

template <class T>
__global__ void gram_chunk(Gram<T> call) {
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
    __syncthreads();  // the operands are there
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
    __syncthreads();  // nobody reads them any more
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

template <class T>
__global__ void add_gram_chunks(Gram<T> call) {
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

// The largest of the threads' values, none below 0, to all of them; NaN does not count. All threads
// of a block of kThreads must come, and to another barrier before they come again.
__device__ double block_max(double value) {
  BASIN_SHARED(partials, double[kThreads / 32]);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = max(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  if (threadIdx.x % 32 == 0) partials[threadIdx.x / 32] = value;
  __syncthreads();
  for (int warp = 0; warp < kThreads / 32; ++warp) value = max(value, partials[warp]);
  return value;
}

__global__ void gram_sums(GramSums call) {
  const int64_t row = blockIdx.x;
  double sum = 0, largest = 0;
  for (int64_t j = threadIdx.x; j < call.size; j += kThreads) {
    const double value = call.k[row * call.size + j];
    if (j != row) sum += value;
    largest = max(largest, fabs(value));
  }
  sum = block_sum<kThreads>(sum);
  largest = block_max(largest);
  if (threadIdx.x == 0) {
    call.sums[row] = sum;
    call.largest[row] = largest;
  }
}

// What centring takes off a matrix, from its sums.
struct Centring {
  const double* sums;
  double shift, divisor, rounding;

  // All threads of a block of kThreads must come.
  __device__ Centring(const double* sums_, const double* largest, int64_t size) : sums(sums_) {
    double total = 0, most = 0;
    for (int64_t i = threadIdx.x; i < size; i += kThreads) {
      total += sums[i];
      most = max(most, largest[i]);
    }
    divisor = static_cast<double>(size - 2);
    shift = block_sum<kThreads>(total) / static_cast<double>(2 * (size - 1) * (size - 2));
    rounding = Hsic::kRounding * block_max(most);
  }
  __device__ double term(int64_t i) const { return sums[i] / divisor - shift; }
  __device__ double of(double value, double row_term, int64_t column) const {
    const double centred = value - row_term - term(column);
    return fabs(centred) <= rounding ? 0 : centred;
  }
};

__global__ void hsic_rows(Hsic call) {
  const int64_t row = blockIdx.x;
  const Centring k(call.k_sums, call.k_largest, call.size);
  const Centring l(call.l_sums, call.l_largest, call.size);
  const double k_term = k.term(row), l_term = l.term(row);
  double kl = 0, kk = 0, ll = 0;
  for (int64_t j = threadIdx.x; j < call.size; j += kThreads) {
    if (j == row) continue;
    const int64_t at = row * call.size + j;
    const double a = k.of(call.k[at], k_term, j), b = l.of(call.l[at], l_term, j);
    kl += a * b;
    kk += a * a;
    ll += b * b;
  }
  kl = block_sum<kThreads>(kl);
  kk = block_sum<kThreads>(kk);
  ll = block_sum<kThreads>(ll);
  if (threadIdx.x == 0) {
    call.partials[row] = kl;
    call.partials[call.size + row] = kk;
    call.partials[2 * call.size + row] = ll;
  }
}

// A block for each of the three.
__global__ void hsic_sum(Hsic call) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < call.size; i += kThreads) {
    sum += call.partials[int64_t{blockIdx.x} * call.size + i];
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) {
    call.hsic[blockIdx.x] = sum / static_cast<double>(call.size * (call.size - 3));
  }
}

template <class T>
void launch_call(const Gram<T>& call, StreamHandle stream) {
  const int64_t tiles = (call.rows + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(tiles * (tiles + 1) / 2),
                  static_cast<unsigned>(call.chunks()));
  launch(gram_chunk<T>, grid, kThreads, 0, stream, call);
  launch(add_gram_chunks<T>, blocks_for(call.rows * call.rows, 1), kThreads, 0, stream, call);
}

void launch_call(const GramSums& call, StreamHandle stream) {
  launch(gram_sums, static_cast<unsigned>(call.size), kThreads, 0, stream, call);
}

void launch_call(const Hsic& call, StreamHandle stream) {
  launch(hsic_rows, static_cast<unsigned>(call.size), kThreads, 0, stream, call);
  launch(hsic_sum, 3, kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(Gram<float>)
BASIN_DEFINE_RUN(Gram<Bf16>)
BASIN_DEFINE_RUN(GramSums)
BASIN_DEFINE_RUN(Hsic)

}  // namespace basin
