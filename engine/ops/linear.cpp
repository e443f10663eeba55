// The linear layer.
#include "engine/ops.h"
#include "kernels/base/types.h"
#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"
#include "kernels/gemm/call.h"

namespace basin {

Tensor linear(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  BASIN_CHECK(x.shape().rank() == 2 && weight.shape().rank() == 2 &&
                  x.shape()[1] == weight.shape()[1] && bias.size() == weight.shape()[0],
              "linear: x ", x.shape().text(), ", weight ", weight.shape().text(), " and bias ",
              bias.shape().text(), " do not fit");
  const int64_t rows = x.shape()[0], in = x.shape()[1], out = weight.shape()[0];
  return dispatch(x.dtype(), [&]<class T>() {
    using P = ParameterType<T>;
    Tensor y = tape.empty({rows, out}, parameter_dtype(x.dtype()));
    run(Gemm<T, P>{.transpose_b = true,
                   .m = rows,
                   .n = out,
                   .k = in,
                   .a = x.data<T>(),
                   .b = weight.data<T>(),
                   .c = y.data<P>()},
        tape.stream());
    run(AddBias<P>{.x = y.data<P>(),
                   .bias = bias.data<P>(),
                   .y = y.data<P>(),
                   .rows = rows,
                   .columns = out},
        tape.stream());
    return tape.record(
        y, {x, weight, bias}, [&tape, x, weight, bias, rows, in, out](const Tensor& dy) {
          Stream& stream = tape.stream();
          const Tensor dy_as_x = convert(tape, dy, x.dtype());
          if (const auto dw = tape.gradient<P>(weight); dw.to) {
            run(Gemm<T, P>{.transpose_a = true,
                           .m = out,
                           .n = in,
                           .k = rows,
                           .a = dy_as_x.data<T>(),
                           .b = x.data<T>(),
                           .c = dw.to,
                           .accumulate = dw.accumulate},
                stream);
          }
          if (const Gradient<P> db = tape.gradient<P>(bias); db.to) {
            run(ColumnSum<P>{.x = dy.data<P>(), .y = db, .rows = rows, .columns = out}, stream);
          }
          if (const auto dx = tape.gradient<T>(x); dx.to) {
            run(Gemm<T>{.m = rows,
                        .n = in,
                        .k = out,
                        .a = dy_as_x.data<T>(),
                        .b = weight.data<T>(),
                        .c = dx.to,
                        .accumulate = dx.accumulate},
                stream);
          }
        });
  });
}

}  // namespace basin
