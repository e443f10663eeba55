// The losses on the CPU. They see a few thousand numbers a step: one thread, in double.
#include "kernels/device/declarations.h"
#include "kernels/loss/call.h"

#include <algorithm>
#include <cmath>

namespace basin::cpu {
namespace {

template <class T>
void compute(const SoftmaxCrossEntropy<T>& call) {
  double total = 0;
  for (int64_t row = 0; row < call.rows; ++row) {
    const T* x = call.logits + row * call.classes;
    const T* target = call.targets + row * call.classes;
    const T* most = std::max_element(x, x + call.classes);
    if (call.predictions) call.predictions[row] = static_cast<int32_t>(most - x);
    const double largest = *most;
    double sum = 0, mass = 0;
    for (int64_t k = 0; k < call.classes; ++k) {
      sum += std::exp(double(x[k]) - largest);
      mass += target[k];
    }
    const double log_sum = std::log(sum) + largest;
    for (int64_t k = 0; k < call.classes; ++k) {
      if (target[k] != T(0)) total -= double(target[k]) * (double(x[k]) - log_sum);
      if (call.dlogits) {
        call.dlogits[row * call.classes + k] = static_cast<T>(
            (std::exp(double(x[k]) - log_sum) * mass - double(target[k])) / double(call.rows));
      }
    }
  }
  *call.loss = static_cast<T>(total / double(call.rows));
}

template <class T>
void compute(const SigmoidCrossEntropy<T>& call) {
  const int64_t size = call.rows * call.classes;
  double total = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double x = call.logits[i], target = call.targets[i];
    const double small = std::exp(-std::abs(x));
    total += std::max(x, 0.0) - x * target + std::log1p(small);
    const double sigmoid = x >= 0 ? 1 / (1 + small) : small / (1 + small);
    if (call.dlogits) call.dlogits[i] = static_cast<T>((sigmoid - target) / double(size));
  }
  *call.loss = static_cast<T>(total / double(size));
}

void compute(const AddLoss& call) {
  LossSums& sums = *call.sums;
  const double loss = *call.loss;
  if (call.predictions) {
    for (int64_t row = 0; row < call.rows; ++row) {
      sums.correct += call.predictions[row] == call.expected[row];
    }
  }
  sums.loss += loss * static_cast<double>(call.rows);
  sums.images += call.rows;
  ++sums.batches;
  if (sums.diverged_batch == 0 && !(std::abs(loss) <= call.limit)) {
    sums.diverged_batch = sums.batches;
    sums.diverged_loss = loss;
  }
}

}  // namespace

BASIN_CPU_RUN(SoftmaxCrossEntropy<float>)
BASIN_CPU_RUN(SoftmaxCrossEntropy<double>)
BASIN_CPU_RUN(SigmoidCrossEntropy<float>)
BASIN_CPU_RUN(SigmoidCrossEntropy<double>)

BASIN_CPU_RUN(AddLoss)

}  // namespace basin::cpu
