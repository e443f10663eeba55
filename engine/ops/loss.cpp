// The losses. Forward already computes the gradient for a loss gradient of 1; backward scales it.
#include "kernels/loss/call.h"

#include "engine/ops.h"
#include "engine/ops/partials.h"
#include "kernels/elementwise/call.h"

namespace basin {
namespace {

template <template <class> class Call>
Tensor cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets,
                     [[maybe_unused]] Tensor* predictions = nullptr) {
  BASIN_CHECK(logits.shape().rank() == 2 && logits.shape() == targets.shape(), Call<float>::kName,
              ": logits ", logits.shape().text(), " and targets ", targets.shape().text(),
              " differ");
  return dispatch_parameters(logits.dtype(), [&]<class T>() {
    Tensor loss = tape.empty({1}, logits.dtype());
    Tensor unit =
        tape.will_record({logits}) ? tape.empty(logits.shape(), logits.dtype()) : Tensor();
    Call<T> call{.logits = logits.data<T>(),
                 .targets = targets.data<T>(),
                 .loss = loss.data<T>(),
                 .dlogits = unit.data_or_null<T>(),
                 .rows = logits.shape()[0],
                 .classes = logits.shape()[1]};
    if constexpr (requires { call.predictions; }) {
      if (predictions) {
        *predictions = tape.empty({call.rows}, DType::kI32);
        call.predictions = predictions->data<int32_t>();
      }
      run_with_partials(call, tape);
    } else {
      run(call, tape.stream());
    }
    return tape.record(loss, {logits}, [&tape, logits = logits.slot(), unit](const Tensor& dy) {
      run(Scale<T>{.x = unit.data<T>(),
                   .factor = dy.data<T>(),
                   .y = tape.gradient<T>(logits),
                   .size = unit.size()},
          tape.stream());
    });
  });
}

}  // namespace

Tensor softmax_cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets,
                             Tensor* predictions) {
  return cross_entropy<SoftmaxCrossEntropy>(tape, logits, targets, predictions);
}

Tensor sigmoid_cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets) {
  return cross_entropy<SigmoidCrossEntropy>(tape, logits, targets);
}

}  // namespace basin
