// The calls of the losses: softmax cross entropy with soft targets, with the most probable classes;
// sigmoid binary cross entropy; and the sums over many batches.
#pragma once

#include <cstdint>

#include "kernels/base/types.h"

namespace basin {

// loss = mean over rows of -sum_k target[k]*log_softmax(logits)[k];
// dlogits = (softmax(logits)*sum(target) - target) / rows, or null; predictions[row] = index of the
// largest logit, the first of equals, or null. Rows and sums in double, in order.
template <class T>
struct SoftmaxCrossEntropy {
  static constexpr const char* kName = "softmax_cross_entropy";
  const T* logits;                  // [rows, classes]
  const ParameterType<T>* targets;  // [rows, classes]
  ParameterType<T>* loss;           // one element
  T* dlogits;
  int64_t rows, classes;
  double* partials = nullptr;  // rows elements: the losses of the rows, on devices
  int32_t* predictions = nullptr;
  double flops() const { return 6.0 * static_cast<double>(rows * classes); }
  double bytes() const {
    return static_cast<double>(sizeof(T) * (dlogits ? 2 : 1) + sizeof(ParameterType<T>)) *
           static_cast<double>(rows * classes);
  }
};

// loss = mean over rows and labels of max(x,0) - x*t + log(1+exp(-|x|)); dlogits = (sigmoid(x) -
// t)/(rows*labels). torch.nn.BCEWithLogitsLoss.
template <class T>
struct SigmoidCrossEntropy {
  static constexpr const char* kName = "sigmoid_cross_entropy";
  const T* logits;                  // [rows, labels]
  const ParameterType<T>* targets;  // [rows, labels]
  ParameterType<T>* loss;           // one element
  T* dlogits;                       // or null
  int64_t rows, labels;
  double flops() const { return 6.0 * static_cast<double>(rows * labels); }
  double bytes() const {
    return static_cast<double>(sizeof(T) * (dlogits ? 2 : 1) + sizeof(ParameterType<T>)) *
           static_cast<double>(rows * labels);
  }
};

// What the batches of an epoch or of an evaluation add up to; all zero at first.
struct LossSums {
  double loss;  // over the images
  int64_t correct, images, batches;
  int64_t diverged_batch;  // the first whose loss was beyond the limit, counted from 1; 0: none
  double diverged_loss;    // the loss of that one
};

// Adds one batch of `rows` images to *sums: its mean loss times its images, in double, and the rows
// whose prediction is the class expected of them.
struct AddLoss {
  static constexpr const char* kName = "add_loss";
  const float* loss;           // one element, the mean over the batch
  const int32_t* predictions;  // [rows], or null: hits are not counted
  const int32_t* expected;     // [rows]; only with predictions
  LossSums* sums;
  double limit;  // a loss is beyond it if its size is larger, or no number
  int64_t rows;
  double flops() const { return static_cast<double>(rows); }
  double bytes() const { return predictions ? 8.0 * static_cast<double>(rows) : 0; }
};

}  // namespace basin
