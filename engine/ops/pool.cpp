// Max pooling and global average pooling.
#include "kernels/pool/call.h"

#include "engine/ops.h"
#include "kernels/device/run.h"

namespace basin {

Tensor max_pool(Tape& tape, const Tensor& x) {
  const Shape s = x.shape();
  BASIN_CHECK(s.rank() == 4, "max_pool: x must be NHWC, got ", s.text());
  return dispatch(x.dtype(), [&]<class T>() {
    const Shape out{s[0], pooled_side(s[1]), pooled_side(s[2]), s[3]};
    Tensor y = tape.empty(out, x.dtype());
    Tensor index = tape.will_record({x}) ? tape.empty(out, DType::kU8) : Tensor();
    run(MaxPoolForward<T>{.x = x.data<T>(),
                          .y = y.data<T>(),
                          .index = index.data_or_null<uint8_t>(),
                          .batch = s[0],
                          .height = s[1],
                          .width = s[2],
                          .channels = s[3]},
        tape.stream());
    return tape.record(y, {x}, [&tape, x = x.slot(), index, s](const Tensor& dy) {
      run(MaxPoolBackward<T>{.dy = dy.data<T>(),
                             .index = index.data<uint8_t>(),
                             .dx = tape.gradient<T>(x),
                             .batch = s[0],
                             .height = s[1],
                             .width = s[2],
                             .channels = s[3]},
          tape.stream());
    });
  });
}

Tensor global_average_pool(Tape& tape, const Tensor& x) {
  const Shape s = x.shape();
  BASIN_CHECK(s.rank() == 4, "global_average_pool: x must be NHWC, got ", s.text());
  return dispatch(x.dtype(), [&]<class T>() {
    Tensor y = tape.empty({s[0], s[3]}, x.dtype());
    run(AveragePoolForward<T>{.x = x.data<T>(),
                              .y = y.data<T>(),
                              .batch = s[0],
                              .area = s[1] * s[2],
                              .channels = s[3]},
        tape.stream());
    return tape.record(y, {x}, [&tape, x = x.slot(), s](const Tensor& dy) {
      run(AveragePoolBackward<T>{.dy = dy.data<T>(),
                                 .dx = tape.gradient<T>(x),
                                 .batch = s[0],
                                 .area = s[1] * s[2],
                                 .channels = s[3]},
          tape.stream());
    });
  });
}

}  // namespace basin
