// The ops a model may call. Each records its backward on the tape; images are NHWC. Activations are
// f32, f64 or bf16. With bf16, convolution and linear layers take bf16 weights; scalars, vectors of
// parameters and statistics are f32, and so are the gradients of all parameters (docs/numerics.md).
#pragma once

#include "engine/tape.h"
#include "engine/tensor.h"

namespace basin {

// What evaluation computes in one pass with a convolution: y = [relu](y + bias [+ residual]).
struct Conv2dEpilogue {
  Tensor bias;      // [K], of the type of y; empty: no epilogue
  Tensor residual;  // of the shape and type of y, or empty
  bool relu = false;
};
// x [N,H,W,C], weight [K,R,S,C] -> [N,P,Q,K]; same padding on all sides. With an epilogue it has no
// gradient.
Tensor conv2d(Tape& tape, const Tensor& x, const Tensor& weight, int64_t stride, int64_t padding,
              const Conv2dEpilogue& epilogue = {});

// Fixup's scalars and ReLU; every member but `relu` may be empty. All scalars have one element.
struct AffineRelu {
  Tensor scale = {}, bias = {}, residual = {}, residual_shift = {}, shift = {};
  bool relu = true;
};
// relu(scale*x + bias + residual - residual_shift) + shift, elementwise, any shape.
Tensor affine_relu(Tape& tape, const Tensor& x, const AffineRelu& arguments);

// The parameters [C] and running statistics [C] of one batch normalisation.
struct BatchNorm {
  Tensor weight, bias, running_mean, running_variance;
  double epsilon = 1e-5, momentum = 0.1;
};
// Which statistics a batch normalisation uses.
enum class Mode {
  kTrain,     // of the batch; running statistics are updated
  kEvaluate,  // the running ones
};
// [relu](batch_norm(x) [+ residual]); x [.., C]. Records a backward in kTrain only.
Tensor batch_norm(Tape& tape, const Tensor& x, const BatchNorm& batch_norm, Mode mode,
                  const Tensor& residual, bool relu);
// max_pool(relu(batch_norm(x))), x [N,H,W,C]. Records a backward in kTrain only.
Tensor batch_norm_max_pool(Tape& tape, const Tensor& x, const BatchNorm& batch_norm, Mode mode);

// 3x3, stride 2, padding 1: [N,H,W,C] -> [N,(H-1)/2+1,(W-1)/2+1,C].
Tensor max_pool(Tape& tape, const Tensor& x);

// Mean over the pixels: [N,H,W,C] -> [N,C].
Tensor global_average_pool(Tape& tape, const Tensor& x);

// x [N,C] * weight^T [K,C] + bias [K] -> [N,K]; f32 even when x is bf16: the losses follow.
Tensor linear(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias);

// a + b, same shape.
Tensor add(Tape& tape, const Tensor& a, const Tensor& b);

// x in `dtype`, f32 or bf16, rounded to nearest; x itself where it has that type. Not on the CPU.
Tensor convert(Tape& tape, const Tensor& x, DType dtype);

// The losses take logits and targets in f32 or f64.
// Mean over rows of the cross entropy with soft targets; logits, targets [N,K] -> [1].
// `predictions`, unless null: set to the index of the largest logit of each row, the first of
// equals, i32 [N].
Tensor softmax_cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets,
                             Tensor* predictions = nullptr);

// Mean over rows and labels of the binary cross entropy with logits; [N,K] -> [1].
Tensor sigmoid_cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets);

}  // namespace basin
