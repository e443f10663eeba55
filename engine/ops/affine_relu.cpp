// Fixup's scalars around a ReLU.
#include "kernels/affine_relu/call.h"

#include "engine/ops.h"
#include "engine/ops/partials.h"

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
    run(AffineReluForward<T>{.x = x.data<T>(),
                             .residual = a.residual.data_or_null<T>(),
                             .scale = a.scale.data_or_null<P>(),
                             .bias = a.bias.data_or_null<P>(),
                             .residual_shift = a.residual_shift.data_or_null<P>(),
                             .shift = a.shift.data_or_null<P>(),
                             .y = y.data<T>(),
                             .mask = mask.data_or_null<uint8_t>(),
                             .relu = a.relu,
                             .size = x.size()},
        tape.stream());
    // Only the gradient of the scale reads x again; without it the memory of x is free.
    const Tensor kept = a.scale.requires_gradient() ? x : Tensor();
    return tape.record(
        y, inputs,
        [&tape, kept, mask, scale = a.scale, relu = a.relu, size = x.size(), x = x.slot(),
         residual = a.residual.slot(), bias = a.bias.slot(),
         residual_shift = a.residual_shift.slot(), shift = a.shift.slot()](const Tensor& dy) {
          run_with_partials(
              AffineReluBackward<T>{.dy = dy.data<T>(),
                                    .x = kept.data_or_null<T>(),
                                    .mask = mask.data_or_null<uint8_t>(),
                                    .scale = scale.data_or_null<P>(),
                                    .relu = relu,
                                    .dx = tape.gradient<T>(x),
                                    .dresidual = tape.gradient<T>(residual),
                                    .dbias = tape.gradient<P>(bias),
                                    .dresidual_shift = tape.gradient<P>(residual_shift),
                                    .dscale = tape.gradient<P>(scale),
                                    .dshift = tape.gradient<P>(shift),
                                    .size = size},
              tape);
        });
  });
}

}  // namespace basin
