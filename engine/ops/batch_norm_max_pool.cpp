// Batch normalisation, ReLU and max pooling in one.
#include "kernels/batch_norm_max_pool/call.h"

#include "engine/ops/normalisation.h"

namespace basin {

Tensor batch_norm_max_pool(Tape& tape, const Tensor& x, const BatchNorm& norm, Mode mode) {
  const Shape s = x.shape();
  BASIN_CHECK(s.rank() == 4, "batch_norm_max_pool: x must be NHWC, got ", s.text());
  const std::initializer_list<Tensor> inputs = {x, norm.weight, norm.bias};
  check_recording(tape, inputs, mode);
  return dispatch(x.dtype(), [&]<class T>() {
    const Normalised normalised = normalise<T>(tape, x, norm, mode);
    BatchNormMaxPoolForward<T> call{.input = normalised.input<T>(),
                                    .batch = s[0],
                                    .height = s[1],
                                    .width = s[2],
                                    .channels = s[3]};
    const Shape out{s[0], call.out_height(), call.out_width(), s[3]};
    Tensor y = tape.empty(out, x.dtype());
    const Tensor index = tape.will_record(inputs) ? tape.empty(out, DType::kU8) : Tensor();
    call.y = y.data<T>();
    call.index = index.data_or_null<uint8_t>();
    run(call, tape.stream());
    return tape.record(y, inputs, [&tape, normalised, index, s](const Tensor& dy) {
      using P = ParameterType<T>;
      run_with_partials(BatchNormMaxPoolBackward<T>{.input = normalised.input<T>(),
                                                    .dy = dy.data<T>(),
                                                    .index = index.data<uint8_t>(),
                                                    .dx = tape.gradient<T>(normalised.x),
                                                    .dweight = tape.gradient<P>(normalised.weight),
                                                    .dbias = tape.gradient<P>(normalised.bias),
                                                    .batch = s[0],
                                                    .height = s[1],
                                                    .width = s[2],
                                                    .channels = s[3]},
                        tape);
    });
  });
}

}  // namespace basin
