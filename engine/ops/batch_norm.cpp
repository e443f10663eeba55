// Batch normalisation with the residual addition and the ReLU that follow it.
#include "kernels/batch_norm/call.h"

#include "engine/ops/normalisation.h"

namespace basin {

Tensor batch_norm(Tape& tape, const Tensor& x, const BatchNorm& norm, Mode mode,
                  const Tensor& residual, bool relu) {
  BASIN_CHECK(!residual || residual.shape() == x.shape(), "batch_norm: x ", x.shape().text(),
              " and residual ", residual ? residual.shape().text() : "", " differ");
  const std::initializer_list<Tensor> inputs = {x, residual, norm.weight, norm.bias};
  check_recording(tape, inputs, mode);
  return dispatch(x.dtype(), [&]<class T>() {
    const int64_t channels = norm.weight.size(), rows = x.size() / channels;
    const Normalised normalised = normalise<T>(tape, x, norm, mode);
    Tensor y = tape.empty(x.shape(), x.dtype());
    run(BatchNormForward<T>{.input = normalised.input<T>(),
                            .residual = residual.data_or_null<T>(),
                            .y = y.data<T>(),
                            .relu = relu,
                            .rows = rows,
                            .channels = channels},
        tape.stream());
    // y is the ReLU's mask: nothing is added after it, so y > 0 is exact.
    const Tensor mask = relu ? y : Tensor();
    return tape.record(
        y, inputs,
        [&tape, normalised, mask, residual = residual.slot(), rows, channels](const Tensor& dy) {
          using P = ParameterType<T>;
          // The kernel writes dresidual before dx: where both are one tensor, dx must be the one
          // that adds.
          const Gradient<T> dresidual = tape.gradient<T>(residual);
          run_with_partials(BatchNormBackward<T>{.input = normalised.input<T>(),
                                                 .y = mask.data_or_null<T>(),
                                                 .dy = dy.data<T>(),
                                                 .relu = bool(mask),
                                                 .dx = tape.gradient<T>(normalised.x),
                                                 .dresidual = dresidual,
                                                 .dweight = tape.gradient<P>(normalised.weight),
                                                 .dbias = tape.gradient<P>(normalised.bias),
                                                 .rows = rows,
                                                 .channels = channels},
                            tape);
        });
  });
}

}  // namespace basin
