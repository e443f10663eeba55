// The losses. Forward of a loss already computes the gradient for a
// loss gradient of 1; backward scales it.
#include "kernels/loss/call.h"

#include "engine/ops.h"
#include "kernels/device/run.h"
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
    Call<T> call{logits.data<T>(),       targets.data<T>(), loss.data<T>(),
                 unit.data_or_null<T>(), logits.shape()[0], logits.shape()[1]};
    Tensor partials;
    if constexpr (requires { call.partials; }) {
      partials = tape.empty({call.rows}, DType::kF64);
      call.partials = partials.data<double>();
    }
    if constexpr (requires { call.predictions; }) {
      if (predictions) {
        *predictions = tape.empty({call.rows}, DType::kI32);
        call.predictions = predictions->data<int32_t>();
      }
    }
    run(call, tape.stream());
    return tape.record(loss, {logits}, [&tape, logits = logits.slot(), unit](const Tensor& dy) {
      const GradientTarget dx = tape.gradient_target(logits);
      run(Scale<T>{unit.data<T>(), dy.data<T>(), dx.data<T>(), dx.accumulate, unit.size()},
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
