// Elementwise sum of two tensors.
#include "engine/ops.h"
#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"

namespace basin {

Tensor add(Tape& tape, const Tensor& a, const Tensor& b) {
  BASIN_CHECK(a.shape() == b.shape(), "add: ", a.shape().text(), " and ", b.shape().text(),
              " differ");
  return dispatch(a.dtype(), [&]<class T>() {
    Tensor y = tape.empty(a.shape(), a.dtype());
    run(Add<T>{.a = a.data<T>(), .b = b.data<T>(), .y = y.data<T>(), .size = a.size()},
        tape.stream());
    return tape.record(y, {a, b}, [&tape, a = a.slot(), b = b.slot()](const Tensor& dy) {
      for (const GradientSlotHandle& input : {a, b}) {
        if (const Gradient<T> dx = tape.gradient<T>(input); dx.to) {
          run(Scale<T>{.x = dy.data<T>(), .y = dx, .size = dy.size()}, tape.stream());
        }
      }
    });
  });
}

}  // namespace basin
