// 2-D convolution and its two gradients.
#include "kernels/conv2d/call.h"

#include "engine/ops.h"
#include "kernels/device/run.h"

namespace basin {
namespace {

// Fills in the workspace of a convolution call and runs it.
template <class Call>
void run_with_workspace(Call call, Tape& tape) {
  const int64_t bytes = workspace_bytes(call, tape.stream());
  const Tensor workspace = bytes > 0 ? tape.empty({bytes}, DType::kU8) : Tensor();
  call.workspace = workspace.data_or_null<uint8_t>();
  run(call, tape.stream());
}

}  // namespace

Tensor conv2d(Tape& tape, const Tensor& x, const Tensor& weight, int64_t stride, int64_t padding,
              const Conv2dEpilogue& epilogue) {
  BASIN_CHECK(
      x.shape().rank() == 4 && weight.shape().rank() == 4 && x.shape()[3] == weight.shape()[3],
      "conv2d: x ", x.shape().text(), " (NHWC) does not fit weight ", weight.shape().text(),
      " (KRSC)");
  const Shape xs = x.shape(), ws = weight.shape();
  const Conv2dShape shape{xs[0], xs[1], xs[2], xs[3], ws[0], ws[1], ws[2], stride, padding};
  BASIN_CHECK(xs[1] + 2 * padding >= ws[1] && xs[2] + 2 * padding >= ws[2], "conv2d: the kernel ",
              ws.text(), " is larger than the padded image ", xs.text());
  const Shape ys{xs[0], shape.out_height(), shape.out_width(), ws[0]};
  const auto& [bias, residual, relu] = epilogue;
  if (bias) {
    BASIN_CHECK(bias.shape() == Shape{ws[0]} && (!residual || residual.shape() == ys),
                "conv2d: bias ", bias.shape().text(), " and residual ",
                residual ? residual.shape().text() : "", " do not fit y ", ys.text());
    BASIN_CHECK(!tape.will_record({x, weight, bias, residual}),
                "conv2d: no gradient through bias, residual and ReLU; turn recording off");
  }
  BASIN_CHECK(bias || (!residual && !relu), "conv2d: a residual or a ReLU without a bias");
  return dispatch(x.dtype(), [&]<class T>() {
    Tensor y = tape.empty(ys, x.dtype());
    run_with_workspace(Conv2dForward<T>{.shape = shape,
                                        .x = x.data<T>(),
                                        .w = weight.data<T>(),
                                        .y = y.data<T>(),
                                        .bias = bias.data_or_null<T>(),
                                        .residual = residual.data_or_null<T>(),
                                        .relu = relu},
                       tape);
    return tape.record(y, {x, weight}, [&tape, shape, x, weight](const Tensor& dy) {
      if (const auto dw = tape.gradient<ParameterType<T>>(weight); dw.to) {
        run_with_workspace(
            Conv2dBackwardWeights<T>{
                .shape = shape, .x = x.data<T>(), .dy = dy.data<T>(), .dw = dw},
            tape);
      }
      if (const auto dx = tape.gradient<T>(x); dx.to) {
        run_with_workspace(
            Conv2dBackwardData<T>{
                .shape = shape, .dy = dy.data<T>(), .w = weight.data<T>(), .dx = dx},
            tape);
      }
    });
  });
}

}  // namespace basin
