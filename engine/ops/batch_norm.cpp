// Batch normalisation with the residual addition and ReLU that follow it.
#include "kernels/batch_norm.h"

#include "engine/ops.h"
#include "kernels/run.h"

namespace basin {

Tensor batch_norm(Tape& tape, const Tensor& x, const BatchNorm& bn, Mode mode,
                  const Tensor& residual, bool relu) {
  const int64_t channels = x.shape()[x.shape().rank() - 1], rows = x.size() / channels;
  BASIN_CHECK(bn.weight.size() == channels, "batch_norm: x ", x.shape().text(), " has ", channels,
              " channels, the parameters ", bn.weight.size());
  BASIN_CHECK(!residual || residual.shape() == x.shape(), "batch_norm: x ", x.shape().text(),
              " and residual ", residual ? residual.shape().text() : "", " differ");
  BASIN_CHECK(
      mode == Mode::kEvaluate || rows > 1,
      "batch_norm: statistics of one value per channel in training; use a larger --batch-size");
  return dispatch(x.dtype(), [&]<class T>() {
    using P = ParameterType<T>;
    const DType statistics_dtype = parameter_dtype(x.dtype());
    Stream& stream = tape.stream();
    Tensor y = tape.empty(x.shape(), x.dtype());
    Tensor inverse_std = tape.empty({channels}, statistics_dtype);
    Tensor mean = bn.running_mean;
    if (mode == Mode::kTrain) {
      mean = tape.empty({channels}, statistics_dtype);
      BatchNormStatistics<T> call{x.data<T>(),
                                  mean.data<P>(),
                                  inverse_std.data<P>(),
                                  bn.running_mean.data<P>(),
                                  bn.running_variance.data<P>(),
                                  bn.epsilon,
                                  bn.momentum,
                                  nullptr,
                                  rows,
                                  channels};
      const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
      call.partials = partials.data<double>();
      run(call, stream);
    } else {
      run(BatchNormInverseStd<P>{bn.running_variance.data<P>(), inverse_std.data<P>(), bn.epsilon,
                                 channels},
          stream);
    }
    run(BatchNormForward<T>{x.data<T>(), residual.data_or_null<T>(), mean.data<P>(),
                            inverse_std.data<P>(), bn.weight.data<P>(), bn.bias.data<P>(),
                            y.data<T>(), relu, rows, channels},
        stream);
    BASIN_CHECK(mode == Mode::kTrain || !tape.will_record({x, residual, bn.weight, bn.bias}),
                "batch_norm: no gradient in evaluation mode; turn recording off");
    // y is the ReLU's mask: without a shift behind it, y > 0 is exact.
    Tensor kept = relu ? y : Tensor();
    const Tensor weight = bn.weight, bias = bn.bias;
    return tape.record(y, {x, residual, weight, bias},
                       [&tape, x, kept, residual = residual.slot(), mean, inverse_std, weight, bias,
                        relu, rows, channels](const Tensor& dy) {
                         // The kernel writes dresidual before dx: where both are one tensor, dx
                         // must be the one that adds.
                         const GradientTarget dresidual = tape.gradient_target(residual);
                         const GradientTarget dx = tape.gradient_target(x);
                         const GradientTarget dweight = tape.gradient_target(weight);
                         const GradientTarget dbias = tape.gradient_target(bias);
                         BatchNormBackward<T> call{x.data<T>(),
                                                   kept.data_or_null<T>(),
                                                   dy.data<T>(),
                                                   mean.data<P>(),
                                                   inverse_std.data<P>(),
                                                   weight.data<P>(),
                                                   relu,
                                                   dx.data<T>(),
                                                   dresidual.data<T>(),
                                                   dweight.data<P>(),
                                                   dbias.data<P>(),
                                                   dx.accumulate,
                                                   dresidual.accumulate,
                                                   dweight.accumulate,
                                                   dbias.accumulate,
                                                   nullptr,
                                                   rows,
                                                   channels};
                         const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
                         call.partials = partials.data<double>();
                         run(call, tape.stream());
                       });
  });
}

}  // namespace basin
