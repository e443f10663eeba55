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
    run(Gemm<T, P>{false, true, rows, out, in, x.data<T>(), weight.data<T>(), y.data<P>(), false},
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
          if (const GradientTarget dw = tape.gradient_target(weight); dw.tensor) {
            run(Gemm<T, P>{true, false, out, in, rows, dy_as_x.data<T>(), x.data<T>(), dw.data<P>(),
                           dw.accumulate},
                stream);
          }
          if (const Gradient<P> db = tape.gradient<P>(bias); db.to) {
            run(ColumnSum<P>{.x = dy.data<P>(), .y = db, .rows = rows, .columns = out}, stream);
          }
          if (const GradientTarget dx = tape.gradient_target(x); dx.tensor) {
            run(Gemm<T>{false, false, rows, in, out, dy_as_x.data<T>(), weight.data<T>(),
                        dx.data<T>(), dx.accumulate},
                stream);
          }
        });
  });
}

}  // namespace basin
