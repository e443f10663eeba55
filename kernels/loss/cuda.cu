// The losses as CUDA kernels. They see a few hundred thousand numbers a step, so rows and sums are
// in double, as on the CPU.
//
// Softmax cross entropy: a warp takes a row; its lanes take every 32nd class, for the largest
// logit, the sum of exponentials, the loss, and then the gradient. The losses of the rows go to
// `partials`, and a second kernel of one block adds them up, each thread every 256th in order, and
// then the threads by block_sum. Reads logits three times and targets three times (from cache but
// for the first), writes dlogits once.
//
// Sigmoid cross entropy: gradients element by element; the loss in one block, thread by thread.
//
// AddLoss: one block, whose threads count every 256th row; batches come one after the other, so
// their losses are added in order. The product of a float and a number of images is exact in
// double: fused or not, the sum has the CPU's bits.
#include "kernels/loss/call.h"

#include "kernels/library/reduce.h"
#include "kernels/library/vector.h"

namespace basin {
namespace {

constexpr int kWarps = kThreads / 32;

// The largest number of a row and its class, the first of equals; to all lanes.
struct Most {
  float value;
  int64_t index;
};

template <class T>
__device__ Most most_of(const T* x, int64_t classes) {
  const int64_t lane = threadIdx.x % 32;
  Most most{0, lane < classes ? lane : 0};
  most.value = to_float(x[most.index]);
  for (int64_t k = most.index + 32; k < classes; k += 32) {
    const float value = to_float(x[k]);
    if (value > most.value) most = {value, k};
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const float value = __shfl_xor_sync(kAllLanes, most.value, distance);
    const int64_t k = __shfl_xor_sync(kAllLanes, most.index, distance);
    if (value > most.value || (value == most.value && k < most.index)) most = {value, k};
  }
  return most;
}

// The row of this warp.
__device__ int64_t my_row() {
  return int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
}

template <class T>
__global__ void softmax_rows(SoftmaxCrossEntropy<T> call) {
  const int64_t row = my_row(), lane = threadIdx.x % 32;
  if (row >= call.rows) return;  // whole warps
  const T* x = call.logits + row * call.classes;
  const auto* target = call.targets + row * call.classes;
  const Most most = most_of(x, call.classes);
  double sum = 0, mass = 0, loss = 0;
  for (int64_t k = lane; k < call.classes; k += 32) {
    sum += exp(double(to_float(x[k])) - most.value);
    mass += target[k];
  }
  const double log_sum = log(warp_sum(sum)) + most.value;
  mass = warp_sum(mass);
  for (int64_t k = lane; k < call.classes; k += 32) {
    const double t = target[k], difference = to_float(x[k]) - log_sum;
    if (t != 0) loss -= t * difference;
    if (call.dlogits) {
      call.dlogits[row * call.classes + k] =
          from_float<T>(static_cast<float>((exp(difference) * mass - t) / double(call.rows)));
    }
  }
  loss = warp_sum(loss);
  if (lane == 0) {
    call.partials[row] = loss;
    if (call.predictions) call.predictions[row] = static_cast<int32_t>(most.index);
  }
}

template <class T>
__global__ void softmax_loss(SoftmaxCrossEntropy<T> call) {
  double sum = 0;
  for (int64_t row = threadIdx.x; row < call.rows; row += kThreads) sum += call.partials[row];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) *call.loss = static_cast<float>(sum / double(call.rows));
}

template <class T>
__global__ void sigmoid_gradient(SigmoidCrossEntropy<T> call) {
  const int64_t size = call.rows * call.classes;
  for_each_vector<1>(size, [&](int64_t i, int) {
    const double x = to_float(call.logits[i]), target = call.targets[i];
    const double small = exp(-fabs(x));
    const double sigmoid = x >= 0 ? 1 / (1 + small) : small / (1 + small);
    call.dlogits[i] = from_float<T>(static_cast<float>((sigmoid - target) / double(size)));
  });
}

template <class T>
__global__ void sigmoid_loss(SigmoidCrossEntropy<T> call) {
  const int64_t size = call.rows * call.classes;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    const double x = to_float(call.logits[i]), target = call.targets[i];
    sum += max(x, 0.0) - x * target + log1p(exp(-fabs(x)));
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) *call.loss = static_cast<float>(sum / double(size));
}

__global__ void add_loss(AddLoss call) {
  int64_t correct = 0;
  if (call.predictions) {
    for (int64_t row = threadIdx.x; row < call.rows; row += kThreads) {
      correct += call.predictions[row] == call.expected[row];
    }
  }
  correct = block_sum<kThreads>(correct);
  if (threadIdx.x == 0) {
    LossSums sums = *call.sums;
    const double loss = *call.loss;
    sums.loss += loss * double(call.rows);
    sums.correct += correct;
    sums.images += call.rows;
    ++sums.batches;
    if (sums.diverged_batch == 0 && !(fabs(loss) <= call.limit)) {
      sums.diverged_batch = sums.batches;
      sums.diverged_loss = loss;
    }
    *call.sums = sums;
  }
}

unsigned row_blocks(int64_t rows) {
  return static_cast<unsigned>((rows + kWarps - 1) / kWarps);
}

template <class T>
void launch_call(const SoftmaxCrossEntropy<T>& call, StreamHandle stream) {
  launch(softmax_rows<T>, row_blocks(call.rows), kThreads, 0, stream, call);
  launch(softmax_loss<T>, 1, kThreads, 0, stream, call);
}
template <class T>
void launch_call(const SigmoidCrossEntropy<T>& call, StreamHandle stream) {
  if (call.dlogits) {
    launch(sigmoid_gradient<T>, blocks_for(call.rows * call.classes, 1), kThreads, 0, stream, call);
  }
  launch(sigmoid_loss<T>, 1, kThreads, 0, stream, call);
}
void launch_call(const AddLoss& call, StreamHandle stream) {
  launch(add_loss, 1, kThreads, 0, stream, call);
}

}  // namespace

BASIN_DEFINE_RUN(SoftmaxCrossEntropy<float>)
BASIN_DEFINE_RUN(SoftmaxCrossEntropy<Bf16>)
BASIN_DEFINE_RUN(SigmoidCrossEntropy<float>)
BASIN_DEFINE_RUN(SigmoidCrossEntropy<Bf16>)
BASIN_DEFINE_RUN(AddLoss)

}  // namespace basin
