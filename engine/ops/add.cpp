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
    run(Add<T>{a.data<T>(), b.data<T>(), y.data<T>(), a.size()}, tape.stream());
    return tape.record(y, {a, b}, [&tape, a = a.slot(), b = b.slot()](const Tensor& dy) {
      for (const GradientSlotHandle& input : {a, b}) {
        if (const GradientTarget dx = tape.gradient_target(input); dx.tensor) {
          run(Scale<T>{dy.data<T>(), nullptr, dx.data<T>(), dx.accumulate, dy.size()},
              tape.stream());
        }
      }
    });
  });
}

}  // namespace basin
