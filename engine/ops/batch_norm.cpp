// Batch normalisation with what follows it: the residual addition and ReLU, the sum with a second
// one, or ReLU and max pooling.
#include "kernels/batch_norm/call.h"

#include "engine/ops.h"
#include "kernels/batch_norm_max_pool/call.h"
#include "kernels/device/run.h"
#include "kernels/dual_batch_norm/call.h"

namespace basin {
namespace {

void check_arguments(const Tensor& x, const BatchNorm& bn, Mode mode) {
  const int64_t channels = x.shape()[x.shape().rank() - 1];
  BASIN_CHECK(bn.weight.size() == channels, "batch_norm: x ", x.shape().text(), " has ", channels,
              " channels, the parameters ", bn.weight.size());
  BASIN_CHECK(
      mode == Mode::kEvaluate || x.size() > channels,
      "batch_norm: statistics of one value per channel in training; use a larger --batch-size");
}

void check_recording(Tape& tape, std::initializer_list<Tensor> inputs, Mode mode) {
  BASIN_CHECK(mode == Mode::kTrain || !tape.will_record(inputs),
              "batch_norm: no gradient in evaluation mode; turn recording off");
}

// What x is normalised with.
struct Statistics {
  Tensor mean, inverse_std;
};

template <class T>
Statistics statistics_of(Tape& tape, const Tensor& x, const BatchNorm& bn, Mode mode) {
  using P = ParameterType<T>;
  const int64_t channels = bn.weight.size();
  Statistics statistics{bn.running_mean, tape.empty({channels}, bn.weight.dtype())};
  if (mode == Mode::kEvaluate) {
    run(BatchNormInverseStd<P>{bn.running_variance.data<P>(), statistics.inverse_std.data<P>(),
                               bn.epsilon, channels},
        tape.stream());
    return statistics;
  }
  statistics.mean = tape.empty({channels}, bn.weight.dtype());
  BatchNormStatistics<T> call{x.data<T>(),
                              statistics.mean.data<P>(),
                              statistics.inverse_std.data<P>(),
                              bn.running_mean.data<P>(),
                              bn.running_variance.data<P>(),
                              bn.epsilon,
                              bn.momentum,
                              nullptr,
                              x.size() / channels,
                              channels};
  const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
  call.partials = partials.data<double>();
  run(call, tape.stream());
  return statistics;
}

// A tensor, its normalisation, and who gets the gradients.
struct Normalised {
  Tensor x;
  Statistics statistics;
  Tensor weight, bias;

  template <class T>
  NormalisedInput<T> input() const {
    using P = ParameterType<T>;
    return {x.data<T>(), statistics.mean.data<P>(), statistics.inverse_std.data<P>(),
            weight.data<P>(), bias.data<P>()};
  }
  template <class T>
  NormalisedInputGradients<T> gradients(Tape& tape) const {
    using P = ParameterType<T>;
    const GradientTarget dx = tape.gradient_target(x), dweight = tape.gradient_target(weight),
                         dbias = tape.gradient_target(bias);
    return {dx.data<T>(),  dweight.data<P>(),  dbias.data<P>(),
            dx.accumulate, dweight.accumulate, dbias.accumulate};
  }
};

}  // namespace

Tensor batch_norm(Tape& tape, const Tensor& x, const BatchNorm& bn, Mode mode,
                  const Tensor& residual, bool relu) {
  const int64_t channels = x.shape()[x.shape().rank() - 1], rows = x.size() / channels;
  check_arguments(x, bn, mode);
  BASIN_CHECK(!residual || residual.shape() == x.shape(), "batch_norm: x ", x.shape().text(),
              " and residual ", residual ? residual.shape().text() : "", " differ");
  return dispatch(x.dtype(), [&]<class T>() {
    using P = ParameterType<T>;
    Stream& stream = tape.stream();
    Tensor y = tape.empty(x.shape(), x.dtype());
    Statistics statistics;
    if (mode == Mode::kTrain) {
      statistics = {tape.empty({channels}, bn.weight.dtype()),
                    tape.empty({channels}, bn.weight.dtype())};
      BatchNormTrainForward<T> call{x.data<T>(),
                                    residual.data_or_null<T>(),
                                    bn.weight.data<P>(),
                                    bn.bias.data<P>(),
                                    statistics.mean.data<P>(),
                                    statistics.inverse_std.data<P>(),
                                    bn.running_mean.data<P>(),
                                    bn.running_variance.data<P>(),
                                    y.data<T>(),
                                    relu,
                                    bn.epsilon,
                                    bn.momentum,
                                    nullptr,
                                    rows,
                                    channels};
      const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
      call.partials = partials.data<double>();
      run(call, stream);
    } else {
      statistics = statistics_of<T>(tape, x, bn, mode);
      run(BatchNormForward<T>{x.data<T>(), residual.data_or_null<T>(), statistics.mean.data<P>(),
                              statistics.inverse_std.data<P>(), bn.weight.data<P>(),
                              bn.bias.data<P>(), y.data<T>(), relu, rows, channels},
          stream);
    }
    check_recording(tape, {x, residual, bn.weight, bn.bias}, mode);
    // y is the ReLU's mask: without a shift behind it, y > 0 is exact.
    Tensor kept = relu ? y : Tensor();
    const Tensor weight = bn.weight, bias = bn.bias;
    return tape.record(y, {x, residual, weight, bias},
                       [&tape, x, kept, residual = residual.slot(), statistics, weight, bias, relu,
                        rows, channels](const Tensor& dy) {
                         // The kernel writes dresidual before dx: where both are one tensor, dx
                         // must be the one that adds.
                         const GradientTarget dresidual = tape.gradient_target(residual);
                         const GradientTarget dx = tape.gradient_target(x);
                         const GradientTarget dweight = tape.gradient_target(weight);
                         const GradientTarget dbias = tape.gradient_target(bias);
                         BatchNormBackward<T> call{x.data<T>(),
                                                   kept.data_or_null<T>(),
                                                   dy.data<T>(),
                                                   statistics.mean.data<P>(),
                                                   statistics.inverse_std.data<P>(),
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

Tensor dual_batch_norm(Tape& tape, const Tensor& x, const BatchNorm& bn, const Tensor& shortcut,
                       const BatchNorm& shortcut_norm, Mode mode) {
  check_arguments(x, bn, mode);
  check_arguments(shortcut, shortcut_norm, mode);
  BASIN_CHECK(x.shape() == shortcut.shape(), "dual_batch_norm: x ", x.shape().text(),
              " and shortcut ", shortcut.shape().text(), " differ");
  const int64_t channels = bn.weight.size(), rows = x.size() / channels;
  return dispatch(x.dtype(), [&]<class T>() {
    const Normalised first{x, statistics_of<T>(tape, x, bn, mode), bn.weight, bn.bias};
    const Normalised second{shortcut, statistics_of<T>(tape, shortcut, shortcut_norm, mode),
                            shortcut_norm.weight, shortcut_norm.bias};
    Tensor y = tape.empty(x.shape(), x.dtype());
    run(DualBatchNormForward<T>{first.input<T>(), second.input<T>(), y.data<T>(), rows, channels},
        tape.stream());
    const std::initializer_list<Tensor> inputs = {
        x, bn.weight, bn.bias, shortcut, shortcut_norm.weight, shortcut_norm.bias};
    check_recording(tape, inputs, mode);
    return tape.record(y, inputs, [&tape, y, first, second, rows, channels](const Tensor& dy) {
      // The first is written first: where both are one tensor, the second must be the one that
      // adds.
      const NormalisedInputGradients<T> dfirst = first.gradients<T>(tape);
      const NormalisedInputGradients<T> dsecond = second.gradients<T>(tape);
      DualBatchNormBackward<T> call{y.data<T>(),       dy.data<T>(), first.input<T>(),
                                    second.input<T>(), dfirst,       dsecond,
                                    nullptr,           rows,         channels};
      const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
      call.partials = partials.data<double>();
      run(call, tape.stream());
    });
  });
}

Tensor batch_norm_max_pool(Tape& tape, const Tensor& x, const BatchNorm& bn, Mode mode) {
  const Shape s = x.shape();
  BASIN_CHECK(s.rank() == 4, "batch_norm_max_pool: x must be NHWC, got ", s.text());
  check_arguments(x, bn, mode);
  return dispatch(x.dtype(), [&]<class T>() {
    const std::initializer_list<Tensor> inputs = {x, bn.weight, bn.bias};
    check_recording(tape, inputs, mode);
    const Normalised normalised{x, statistics_of<T>(tape, x, bn, mode), bn.weight, bn.bias};
    const NormalisedInput<T> input = normalised.input<T>();
    BatchNormMaxPoolForward<T> call{input.x,      input.mean, input.inverse_std,
                                    input.weight, input.bias, nullptr,
                                    nullptr,      s[0],       s[1],
                                    s[2],         s[3]};
    const Shape out{s[0], call.out_height(), call.out_width(), s[3]};
    Tensor y = tape.empty(out, x.dtype());
    const Tensor index = tape.will_record(inputs) ? tape.empty(out, DType::kU8) : Tensor();
    call.y = y.data<T>();
    call.index = index.data_or_null<uint8_t>();
    run(call, tape.stream());
    return tape.record(y, inputs, [&tape, normalised, index, s](const Tensor& dy) {
      const NormalisedInput<T> input = normalised.input<T>();
      const NormalisedInputGradients<T> d = normalised.gradients<T>(tape);
      BatchNormMaxPoolBackward<T> call{input.x,
                                       dy.data<T>(),
                                       index.data<uint8_t>(),
                                       input.mean,
                                       input.inverse_std,
                                       input.weight,
                                       d.dx,
                                       d.dweight,
                                       d.dbias,
                                       d.accumulate_dx,
                                       d.accumulate_dweight,
                                       d.accumulate_dbias,
                                       nullptr,
                                       s[0],
                                       s[1],
                                       s[2],
                                       s[3]};
      const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
      call.partials = partials.data<double>();
      run(call, tape.stream());
    });
  });
}

}  // namespace basin
