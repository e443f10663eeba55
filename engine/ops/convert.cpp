// Conversion between element types.
#include "kernels/convert/call.h"

#include "engine/ops.h"
#include "kernels/device/run.h"

namespace basin {
namespace {

template <class From, class To>
Tensor convert_to(Tape& tape, const Tensor& x) {
  Tensor y = tape.empty(x.shape(), dtype_of<To>());
  run(Convert<From, To>{.x = x.data<From>(), .y = {y.data<To>()}, .size = x.size()}, tape.stream());
  return tape.record(y, {x}, [&tape, x = x.slot()](const Tensor& dy) {
    run(Convert<To, From>{.x = dy.data<To>(), .y = tape.gradient<From>(x), .size = dy.size()},
        tape.stream());
  });
}

}  // namespace

Tensor convert(Tape& tape, const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  if (x.dtype() == DType::kF32 && dtype == DType::kBF16) return convert_to<float, Bf16>(tape, x);
  BASIN_CHECK(x.dtype() == DType::kBF16 && dtype == DType::kF32, "convert: from ",
              name_of(x.dtype()), " to ", name_of(dtype), "; only f32 and bf16 are converted");
  return convert_to<Bf16, float>(tape, x);
}

}  // namespace basin
