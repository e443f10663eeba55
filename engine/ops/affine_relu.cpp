// Fixup's scalars around a ReLU.
#include "kernels/affine_relu/call.h"

#include "engine/ops.h"
#include "kernels/device/run.h"

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
    using P = ParameterType<T>;
    run(AffineReluForward<T>{x.data<T>(), a.residual.data_or_null<T>(), a.scale.data_or_null<P>(),
                             a.bias.data_or_null<P>(), a.residual_shift.data_or_null<P>(),
                             a.shift.data_or_null<P>(), y.data<T>(), mask.data_or_null<uint8_t>(),
                             a.relu, x.size()},
        tape.stream());
    // Only the scale's gradient reads x again; else its elements are let go.
    const Tensor kept = a.scale.requires_gradient() ? x : Tensor();
    return tape.record(
        y, inputs,
        [&tape, kept, mask, scale = a.scale, relu = a.relu, size = x.size(), x_slot = x.slot(),
         residual = a.residual.slot(), bias = a.bias.slot(),
         residual_shift = a.residual_shift.slot(), shift = a.shift.slot()](const Tensor& dy) {
          // In the order in which the kernel writes them: of arguments that are one tensor, the
          // first writes and the others add.
          const GradientTarget dx = tape.gradient_target(x_slot);
          const GradientTarget dresidual = tape.gradient_target(residual);
          const GradientTarget dbias = tape.gradient_target(bias);
          const GradientTarget dresidual_shift = tape.gradient_target(residual_shift);
          const GradientTarget dscale = tape.gradient_target(scale);
          const GradientTarget dshift = tape.gradient_target(shift);
          AffineReluBackward<T> call{dy.data<T>(),
                                     kept.data_or_null<T>(),
                                     mask.data_or_null<uint8_t>(),
                                     scale.data_or_null<P>(),
                                     relu,
                                     dx.data<T>(),
                                     dresidual.data<T>(),
                                     dscale.data<P>(),
                                     dbias.data<P>(),
                                     dresidual_shift.data<P>(),
                                     dshift.data<P>(),
                                     dx.accumulate,
                                     dresidual.accumulate,
                                     dscale.accumulate,
                                     dbias.accumulate,
                                     dresidual_shift.accumulate,
                                     dshift.accumulate,
                                     nullptr,
                                     size};
          const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
          call.partials = partials.data<double>();
          run(call, tape.stream());
        });
  });
}

}  // namespace basin
