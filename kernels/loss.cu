// The losses as CUDA kernels. They see a few hundred thousand numbers a step, so rows and sums are
// in double, as on the CPU.
//
// Softmax cross entropy: a warp takes a row; its lanes take every 32nd class, for the largest
// logit, the sum of exponentials, and then the gradient. The loss is a second kernel of one block,
// whose eight warps take every eighth row and add up their losses in order; the sums of the warps
// are added by block_sum. Reads logits and targets three times each (from cache but for the first),
// writes dlogits once.
//
// Sigmoid cross entropy: gradients element by element; the loss in one block, thread by thread.
//
// ArgMax: a warp takes a row.
#include "kernels/loss.h"

#include "kernels/reduce.h"
#include "kernels/vector.h"

namespace basin {
namespace {

constexpr int kWarps = kThreads / 32;

template <class T>
__device__ T warp_max(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = max(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

struct Row {
  double log_sum, mass, loss;  // log sum exp of the logits; sum of the targets; loss
};

// All lanes of a warp come for the same row.
template <class T>
__device__ Row row_of(const SoftmaxCrossEntropy<T>& call, int64_t row) {
  const int lane = threadIdx.x % 32;
  const T* x = call.logits + row * call.classes;
  const T* target = call.targets + row * call.classes;
  double largest = to_float(x[0]);
  for (int64_t k = lane; k < call.classes; k += 32) largest = max(largest, double(to_float(x[k])));
  largest = warp_max(largest);
  double sum = 0, mass = 0;
  for (int64_t k = lane; k < call.classes; k += 32) {
    sum += exp(to_float(x[k]) - largest);
    mass += to_float(target[k]);
  }
  Row result{log(warp_sum(sum)) + largest, warp_sum(mass), 0};
  double loss = 0;
  for (int64_t k = lane; k < call.classes; k += 32) {
    const double t = to_float(target[k]);
    if (t != 0) loss -= t * (to_float(x[k]) - result.log_sum);
  }
  result.loss = warp_sum(loss);
  return result;
}

template <class T>
__global__ void softmax_gradient(SoftmaxCrossEntropy<T> call) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= call.rows) return;  // whole warps
  const Row values = row_of(call, row);
  for (int64_t k = threadIdx.x % 32; k < call.classes; k += 32) {
    const int64_t at = row * call.classes + k;
    const double softmax = exp(to_float(call.logits[at]) - values.log_sum);
    call.dlogits[at] = from_float<T>(static_cast<float>(
        (softmax * values.mass - to_float(call.targets[at])) / double(call.rows)));
  }
}

template <class T>
__global__ void softmax_loss(SoftmaxCrossEntropy<T> call) {
  double sum = 0;
  for (int64_t row = threadIdx.x / 32; row < call.rows; row += kWarps) {
    sum += row_of(call, row).loss;
  }
  if (threadIdx.x % 32 != 0) sum = 0;
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) *call.loss = from_float<T>(static_cast<float>(sum / double(call.rows)));
}

template <class T>
__global__ void sigmoid_gradient(SigmoidCrossEntropy<T> call) {
  const int64_t size = call.rows * call.labels;
  for_each_vector<1>(size, [&](int64_t i, int) {
    const double x = to_float(call.logits[i]), target = to_float(call.targets[i]);
    const double small = exp(-fabs(x));
    const double sigmoid = x >= 0 ? 1 / (1 + small) : small / (1 + small);
    call.dlogits[i] = from_float<T>(static_cast<float>((sigmoid - target) / double(size)));
  });
}

template <class T>
__global__ void sigmoid_loss(SigmoidCrossEntropy<T> call) {
  const int64_t size = call.rows * call.labels;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    const double x = to_float(call.logits[i]), target = to_float(call.targets[i]);
    sum += max(x, 0.0) - x * target + log1p(exp(-fabs(x)));
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) *call.loss = from_float<T>(static_cast<float>(sum / double(size)));
}

template <class T>
__global__ void arg_max(ArgMax<T> call) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= call.rows) return;  // whole warps
  const T* x = call.logits + row * call.classes;
  int64_t best = threadIdx.x % 32 < call.classes ? threadIdx.x % 32 : 0;
  float largest = to_float(x[best]);
  for (int64_t k = best + 32; k < call.classes; k += 32) {
    const float value = to_float(x[k]);
    if (value > largest) {
      largest = value;
      best = k;
    }
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    const float value = __shfl_xor_sync(kAllLanes, largest, distance);
    const int64_t k = __shfl_xor_sync(kAllLanes, best, distance);
    if (value > largest || (value == largest && k < best)) {
      largest = value;
      best = k;
    }
  }
  if (threadIdx.x % 32 == 0) call.predictions[row] = static_cast<int32_t>(best);
}

unsigned row_blocks(int64_t rows) {
  return static_cast<unsigned>((rows + kWarps - 1) / kWarps);
}

template <class T>
void launch_call(const SoftmaxCrossEntropy<T>& call, StreamHandle stream) {
  if (call.dlogits) {
    launch(softmax_gradient<T>, row_blocks(call.rows), kThreads, 0, stream, call);
  }
  launch(softmax_loss<T>, 1, kThreads, 0, stream, call);
}
template <class T>
void launch_call(const SigmoidCrossEntropy<T>& call, StreamHandle stream) {
  if (call.dlogits) {
    launch(sigmoid_gradient<T>, blocks_for(call.rows * call.labels, 1), kThreads, 0, stream, call);
  }
  launch(sigmoid_loss<T>, 1, kThreads, 0, stream, call);
}
template <class T>
void launch_call(const ArgMax<T>& call, StreamHandle stream) {
  launch(arg_max<T>, row_blocks(call.rows), kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(SoftmaxCrossEntropy<float>)
BASIN_DEFINE_RUN(SigmoidCrossEntropy<float>)
BASIN_DEFINE_RUN(ArgMax<float>)

}  // namespace basin
