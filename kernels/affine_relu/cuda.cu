// Fixup's elementwise step as CUDA kernels.
//
// Forward: z = scale*x + bias + residual - residual_shift, y = [relu](z) + shift, mask = z > 0;
// [relu](z) is rounded to T before the shift. A thread takes vectors of 16 bytes of x. Reads x and
// the residual once, writes y and the mask.
//
// Backward: a block takes a chunk of 16384 elements, a thread every 256th vector of it; gradients
// of elements are written in passing. Sums of dz, dz*x, dy of a chunk go to `partials`, in double;
// a second kernel of one block adds the chunks up, each of its threads in order, and then its
// threads by block_sum. Chunks depend on the size alone, so the sums do too. Reads dy, x and the
// mask once, writes dx and dresidual.
#include "kernels/affine_relu/call.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

__device__ float value_or(const float* scalar, float absent) {
  return scalar ? *scalar : absent;
}

template <class T>
__global__ void affine_relu_forward(AffineReluForward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  const float scale = value_or(call.scale, 1);
  const float bias = value_or(call.bias, 0) - value_or(call.residual_shift, 0);
  const float shift = value_or(call.shift, 0);
  for_each_vector<kCount>(call.size, [&](int64_t first, int count) {
    const Words input = fetch(call.x + first, count);
    const Words added = call.residual ? fetch(call.residual + first, count) : Words{};
    float z[kCount], residual[kCount];
    unpack<T>(input, z);
    unpack<T>(added, residual);
    Pack<uint8_t, kCount> mask;
    for (int k = 0; k < kCount; ++k) {
      z[k] = scale * z[k] + bias;
      z[k] += residual[k];
      mask.values[k] = z[k] > 0;
      z[k] = to_float(from_float<T>(call.relu && !(z[k] > 0) ? 0 : z[k])) + shift;
    }
    store(call.y + first, count, z);
    if (call.mask) store_bytes(call.mask + first, count, mask);
  });
}

template <class T>
__global__ void affine_relu_backward(AffineReluBackward<T> call) {
  constexpr int kCount = kVectorSize<T>;
  constexpr int64_t kChunk = AffineReluBackward<T>::kChunk;
  const float scale = value_or(call.scale, 1);
  const int64_t begin = blockIdx.x * kChunk;
  const int64_t end = begin + kChunk < call.size ? begin + kChunk : call.size;
  CompensatedSum sum_dz, sum_dzx, sum_dy;
  for (int64_t first = begin + threadIdx.x * kCount; first < end; first += kThreads * kCount) {
    const int count = static_cast<int>(end - first < kCount ? end - first : kCount);
    const Words gradient = fetch(call.dy + first, count);
    const Words input = call.dscale.to ? fetch(call.x + first, count) : Words{};
    float dy[kCount], dz[kCount], x[kCount];
    Pack<uint8_t, kCount> mask{};
    if (call.relu) load_bytes(call.mask + first, count, mask);
    unpack<T>(gradient, dy);
    unpack<T>(input, x);
    for (int k = 0; k < kCount; ++k) {
      dz[k] = call.relu && mask.values[k] == 0 ? 0 : dy[k];
      sum_dz.add(dz[k]);
      sum_dy.add(dy[k]);
      if (call.dscale.to) sum_dzx.add(dz[k] * x[k]);
    }
    if (call.dresidual.to) {
      float out[kCount];
      for (int k = 0; k < kCount; ++k) out[k] = dz[k];
      store_or_add(call.dresidual, first, count, out);
    }
    if (call.dx.to) {
      for (int k = 0; k < kCount; ++k) dz[k] *= scale;
      store_or_add(call.dx, first, count, dz);
    }
  }
  const double dz = block_sum<kThreads>(sum_dz.value());
  const double dzx = block_sum<kThreads>(sum_dzx.value());
  const double dy = block_sum<kThreads>(sum_dy.value());
  if (threadIdx.x == 0) {
    double* sums = call.partials + 3 * int64_t{blockIdx.x};
    sums[0] = dz;
    sums[1] = dzx;
    sums[2] = dy;
  }
}

template <class T>
__global__ void affine_relu_backward_sums(AffineReluBackward<T> call) {
  double sums[3] = {0, 0, 0};
  for (int64_t chunk = threadIdx.x; chunk < call.partials_size() / 3; chunk += kThreads) {
    for (int s = 0; s < 3; ++s) sums[s] += call.partials[3 * chunk + s];
  }
  for (int s = 0; s < 3; ++s) sums[s] = block_sum<kThreads>(sums[s]);
  if (threadIdx.x == 0) {
    call.dbias.store(0, sums[0]);
    call.dresidual_shift.store(0, -sums[0]);
    call.dscale.store(0, sums[1]);
    call.dshift.store(0, sums[2]);
  }
}

template <class T>
void launch_call(const AffineReluForward<T>& call, StreamHandle stream) {
  launch(affine_relu_forward<T>, blocks_for(call.size, kVectorSize<T>), kThreads, 0, stream, call);
}

template <class T>
void launch_call(const AffineReluBackward<T>& call, StreamHandle stream) {
  const auto chunks = static_cast<unsigned>(call.partials_size() / 3);
  launch(affine_relu_backward<T>, chunks, kThreads, 0, stream, call);
  launch(affine_relu_backward_sums<T>, 1, kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(AffineReluForward<float>)
BASIN_DEFINE_RUN(AffineReluForward<Bf16>)
BASIN_DEFINE_RUN(AffineReluBackward<float>)
BASIN_DEFINE_RUN(AffineReluBackward<Bf16>)

}  // namespace basin
