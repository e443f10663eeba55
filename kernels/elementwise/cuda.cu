// Elementwise calls as CUDA kernels.
//
// A thread takes vectors of 16 bytes, a grid apart. Each element is written by one thread, so
// nothing depends on order. Byte floors: bytes() of each call.
//
// Column sums: a block of 32 columns x 8 rows; each thread adds up every eighth row of a column,
// and the eight sums are added in order. Reads x once.
#include "kernels/elementwise/call.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

template <class T>
__global__ void fill(Fill<T> call) {
  constexpr int kCount = kVectorSize<T>;
  float values[kCount];
  for (int k = 0; k < kCount; ++k) values[k] = to_float(call.value);
  for_each_vector<kCount>(call.size,
                          [&](int64_t first, int count) { store(call.y + first, count, values); });
}

template <class T>
__global__ void add(Add<T> call) {
  constexpr int kCount = kVectorSize<T>;
  for_each_vector<kCount>(call.size, [&](int64_t first, int count) {
    const Words first_words = fetch(call.a + first, count);
    const Words second_words = fetch(call.b + first, count);
    float a[kCount], b[kCount];
    unpack<T>(first_words, a);
    unpack<T>(second_words, b);
    for (int k = 0; k < kCount; ++k) a[k] += b[k];
    store(call.y + first, count, a);
  });
}

template <class T>
__global__ void scale(Scale<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const float factor = call.factor ? to_float(*call.factor) : 1.0f;
  for_each_vector<kCount>(call.size, [&](int64_t first, int count) {
    float x[kCount];
    load(call.x + first, count, x);
    for (int k = 0; k < kCount; ++k) x[k] *= factor;
    store_or_add(call.y, first, count, x);
  });
}

template <class T>
__global__ void add_bias(AddBias<T> call) {
  constexpr int kCount = kVectorSize<T>;
  for_each_vector<kCount>(call.rows * call.columns, [&](int64_t first, int count) {
    float x[kCount], residual[kCount];
    load(call.x + first, count, x);
    if (call.residual) load(call.residual + first, count, residual);
    int64_t column = first % call.columns;
    for (int k = 0; k < kCount; ++k) {
      x[k] += to_float(call.bias[column]);
      if (call.residual) x[k] += residual[k];
      if (call.relu && !(x[k] > 0)) x[k] = 0;
      if (++column == call.columns) column = 0;
    }
    store(call.y + first, count, x);
  });
}

constexpr int kColumns = 32, kRows = 8;

template <class T>
__global__ void column_sum(ColumnSum<T> call) {
  BASIN_SHARED(partials, double[kRows][kColumns]);
  const int64_t column = int64_t{blockIdx.x} * kColumns + threadIdx.x;
  CompensatedSum sum;
  if (column < call.columns) {
    for (int64_t row = threadIdx.y; row < call.rows; row += kRows) {
      sum.add(to_float(call.x[row * call.columns + column]));
    }
  }
  partials[threadIdx.y][threadIdx.x] = sum.value();
  __syncthreads();
  if (threadIdx.y == 0 && column < call.columns) {
    double total = call.y.accumulate ? call.y.to[column] : 0;
    for (int row = 0; row < kRows; ++row) total += partials[row][threadIdx.x];
    call.y.to[column] = static_cast<float>(total);
  }
}

template <class T>
void launch_call(const Fill<T>& call, StreamHandle stream) {
  launch(fill<T>, blocks_for(call.size, kVectorSize<T>), kThreads, 0, stream, call);
}
template <class T>
void launch_call(const Add<T>& call, StreamHandle stream) {
  launch(add<T>, blocks_for(call.size, kVectorSize<T>), kThreads, 0, stream, call);
}
template <class T>
void launch_call(const Scale<T>& call, StreamHandle stream) {
  launch(scale<T>, blocks_for(call.size, kVectorSize<T>), kThreads, 0, stream, call);
}
template <class T>
void launch_call(const AddBias<T>& call, StreamHandle stream) {
  launch(add_bias<T>, blocks_for(call.rows * call.columns, kVectorSize<T>), kThreads, 0, stream,
         call);
}
template <class T>
void launch_call(const ColumnSum<T>& call, StreamHandle stream) {
  const auto blocks = static_cast<unsigned>((call.columns + kColumns - 1) / kColumns);
  launch(column_sum<T>, blocks, dim3(kColumns, kRows), 0, stream, call);
}
}  // namespace

BASIN_DEFINE_RUN(Fill<float>)
BASIN_DEFINE_RUN(Fill<Bf16>)
BASIN_DEFINE_RUN(Add<float>)
BASIN_DEFINE_RUN(Add<Bf16>)
BASIN_DEFINE_RUN(Scale<float>)
BASIN_DEFINE_RUN(Scale<Bf16>)
BASIN_DEFINE_RUN(AddBias<float>)
BASIN_DEFINE_RUN(AddBias<Bf16>)
BASIN_DEFINE_RUN(ColumnSum<float>)
BASIN_DEFINE_RUN(ColumnSum<Bf16>)

}  // namespace basin
