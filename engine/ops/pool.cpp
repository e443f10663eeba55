// Max pooling and global average pooling.
#include "kernels/pool/call.h"

#include "engine/ops.h"
#include "kernels/device/run.h"

namespace basin {

Tensor max_pool(Tape& tape, const Tensor& x) {
  const Shape s = x.shape();
  BASIN_CHECK(s.rank() == 4, "max_pool: x must be NHWC, got ", s.text());
  return dispatch(x.dtype(), [&]<class T>() {
    MaxPoolForward<T> call{x.data<T>(), nullptr, nullptr, s[0], s[1], s[2], s[3]};
    const Shape out{s[0], call.out_height(), call.out_width(), s[3]};
    Tensor y = tape.empty(out, x.dtype());
    Tensor index = tape.will_record({x}) ? tape.empty(out, DType::kU8) : Tensor();
    call.y = y.data<T>();
    call.index = index.data_or_null<uint8_t>();
    run(call, tape.stream());
    return tape.record(y, {x}, [&tape, x = x.slot(), index, s](const Tensor& dy) {
      const GradientTarget dx = tape.gradient_target(x);
      run(MaxPoolBackward<T>{dy.data<T>(), index.data<uint8_t>(), dx.data<T>(), dx.accumulate, s[0],
                             s[1], s[2], s[3]},
          tape.stream());
    });
  });
}

Tensor global_average_pool(Tape& tape, const Tensor& x) {
  const Shape s = x.shape();
  BASIN_CHECK(s.rank() == 4, "global_average_pool: x must be NHWC, got ", s.text());
  return dispatch(x.dtype(), [&]<class T>() {
    Tensor y = tape.empty({s[0], s[3]}, x.dtype());
    run(AveragePoolForward<T>{x.data<T>(), y.data<T>(), s[0], s[1] * s[2], s[3]}, tape.stream());
    return tape.record(y, {x}, [&tape, x = x.slot(), s](const Tensor& dy) {
      const GradientTarget dx = tape.gradient_target(x);
      run(AveragePoolBackward<T>{dy.data<T>(), dx.data<T>(), dx.accumulate, s[0], s[1] * s[2],
                                 s[3]},
          tape.stream());
    });
  });
}

}  // namespace basin
