// The calls of the losses: softmax cross entropy with soft targets, sigmoid binary cross entropy,
// and the most probable class.
#pragma once

#include <cstdint>

#include "kernels/types.h"

namespace basin {

// loss = mean over rows of -sum_k target[k]*log_softmax(logits)[k];
// dlogits = (softmax(logits)*sum(target) - target) / rows, or null. Rows and sums in double, in
// order.
template <class T>
struct SoftmaxCrossEntropy {
  static constexpr const char* kName = "softmax_cross_entropy";
  const T *logits, *targets;  // [rows, classes]
  T *loss, *dlogits;          // loss: one element
  int64_t rows, classes;
  double flops() const { return 6.0 * static_cast<double>(rows * classes); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * classes) * (dlogits ? 3 : 2);
  }
};

// loss = mean over rows and labels of max(x,0) - x*t + log(1+exp(-|x|)); dlogits = (sigmoid(x) -
// t)/(rows*labels). torch.nn.BCEWithLogitsLoss.
template <class T>
struct SigmoidCrossEntropy {
  static constexpr const char* kName = "sigmoid_cross_entropy";
  const T *logits, *targets;  // [rows, labels]
  T *loss, *dlogits;
  int64_t rows, labels;
  double flops() const { return 6.0 * static_cast<double>(rows * labels); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * labels) * (dlogits ? 3 : 2);
  }
};

// predictions[row] = index of the largest logit, the first of equals.
template <class T>
struct ArgMax {
  static constexpr const char* kName = "arg_max";
  const T* logits;  // [rows, classes]
  int32_t* predictions;
  int64_t rows, classes;
  double flops() const { return static_cast<double>(rows * classes); }
  double bytes() const {
    return static_cast<double>(sizeof(T)) * static_cast<double>(rows * classes);
  }
};

namespace cpu {
template <class T>
void run(const SoftmaxCrossEntropy<T>&);
template <class T>
void run(const SigmoidCrossEntropy<T>&);
template <class T>
void run(const ArgMax<T>&);
}  // namespace cpu

}  // namespace basin
