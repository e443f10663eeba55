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
  T* dlogits = nullptr;
  int64_t rows, classes;
  double* partials = nullptr;  // on devices: the losses of the rows
  int32_t* predictions = nullptr;
  constexpr int64_t partials_size() const { return rows; }
  double flops() const { return count(6, rows, classes); }
  double bytes() const {
    return count(sizeof(T) * (dlogits ? 2 : 1) + sizeof(ParameterType<T>), rows, classes);
  }
};

// loss = mean over rows and classes of max(x,0) - x*t + log(1+exp(-|x|)); dlogits = (sigmoid(x) -
// t)/(rows*classes). torch.nn.BCEWithLogitsLoss.
template <class T>
struct SigmoidCrossEntropy {
  static constexpr const char* kName = "sigmoid_cross_entropy";
  const T* logits;                  // [rows, classes]
  const ParameterType<T>* targets;  // [rows, classes]
  ParameterType<T>* loss;           // one element
  T* dlogits = nullptr;             // or null
  int64_t rows, classes;
  double flops() const { return count(6, rows, classes); }
  double bytes() const {
    return count(sizeof(T) * (dlogits ? 2 : 1) + sizeof(ParameterType<T>), rows, classes);
  }
};

// What the batches of an epoch or of an evaluation add up to; all zero at first.
struct LossSums {
  double loss;  // over the images
  int64_t correct, images, batches;
  int64_t diverged_batch;  // the first with a loss over the limit, counted from 1; 0: none
  double diverged_loss;    // the loss of that one
};

// Adds one batch of `rows` images to *sums: its mean loss times its images, in double, and the
// number of rows with the expected prediction.
struct AddLoss {
  static constexpr const char* kName = "add_loss";
  const float* loss;                     // one element, the mean over the batch
  const int32_t* predictions = nullptr;  // [rows], or null: hits are not counted
  const int32_t* expected = nullptr;     // [rows]; only with predictions
  LossSums* sums;
  double limit;  // for the absolute value of a loss; NaN is over it, too
  int64_t rows;
  double flops() const { return count(rows); }
  double bytes() const { return count(predictions ? 8 : 0, rows); }
};

}  // namespace basin
