// Fixup's scalars around a ReLU.
#include "kernels/affine_relu.h"

#include "engine/ops.h"
#include "kernels/run.h"

namespace basin {

Tensor affine_relu(Tape& tape, const Tensor& x, const AffineRelu& a) {
  for (const Tensor& scalar : {a.scale, a.bias, a.residual_shift, a.shift}) {
    BASIN_CHECK(!scalar || scalar.size() == 1, "affine_relu: a scalar has shape ",
                scalar ? scalar.shape().text() : "");
  }
  BASIN_CHECK(!a.residual || a.residual.shape() == x.shape(), "affine_relu: x ", x.shape().text(),
              " and residual ", a.residual ? a.residual.shape().text() : "", " differ");
  return dispatch(x.dtype(), [&]<class T>() {
    const std::initializer_list<Tensor> inputs = {x,          a.scale,          a.bias,
                                                  a.residual, a.residual_shift, a.shift};
    const bool keep_mask = a.relu && tape.will_record(inputs);
    Tensor y = tape.empty(x.shape(), x.dtype());
    Tensor mask = keep_mask ? tape.empty(x.shape(), DType::kU8) : Tensor();
    run(AffineReluForward<T>{x.data<T>(), a.residual.data_or_null<T>(), a.scale.data_or_null<T>(),
                             a.bias.data_or_null<T>(), a.residual_shift.data_or_null<T>(),
                             a.shift.data_or_null<T>(), y.data<T>(), mask.data_or_null<uint8_t>(),
                             a.relu, x.size()},
        tape.stream());
    // Only the scale's gradient reads x again. Where there is no scale, backward needs x's
    // identity, to find its gradient, but not its elements; the handle keeps them alive all the
    // same.
    return tape.record(y, inputs, [&tape, x, a, mask](const Tensor& dy) {
      const GradientTarget dx = tape.gradient_target(x);
      const GradientTarget dresidual = tape.gradient_target(a.residual);
      const GradientTarget dscale = tape.gradient_target(a.scale);
      const GradientTarget dbias = tape.gradient_target(a.bias);
      const GradientTarget dresidual_shift = tape.gradient_target(a.residual_shift);
      const GradientTarget dshift = tape.gradient_target(a.shift);
      AffineReluBackward<T> call{dy.data<T>(),
                                 x.data<T>(),
                                 mask.data_or_null<uint8_t>(),
                                 a.scale.data_or_null<T>(),
                                 a.relu,
                                 dx.data<T>(),
                                 dresidual.data<T>(),
                                 dscale.data<T>(),
                                 dbias.data<T>(),
                                 dresidual_shift.data<T>(),
                                 dshift.data<T>(),
                                 dx.accumulate,
                                 dresidual.accumulate,
                                 dscale.accumulate,
                                 dbias.accumulate,
                                 dresidual_shift.accumulate,
                                 dshift.accumulate,
                                 nullptr,
                                 x.size()};
      const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
      call.partials = partials.data<double>();
      run(call, tape.stream());
    });
  });
}

}  // namespace basin
