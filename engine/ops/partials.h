// Runs a call that sums in two steps, with memory of the step for its partial sums.
#pragma once

#include "engine/tape.h"
#include "kernels/device/run.h"

namespace basin {

template <class Call>
void run_with_partials(Call call, Tape& tape) {
  const Tensor partials = tape.empty({call.partials_size()}, DType::kF64);
  call.partials = partials.data<double>();
  run(call, tape.stream());
}

}  // namespace basin
