// What the losses of many batches add up to, kept in device memory: the host waits for it only when
// it reads.
#pragma once

#include <limits>
#include <memory>

#include "engine/tensor.h"
#include "kernels/device/stream.h"
#include "kernels/loss/call.h"

namespace basin {

// At one address, so that a captured step may add to it.
class LossAccumulator {
 public:
  // All zero. The first batch with an absolute loss over `limit`, or NaN, is noted (LossSums).
  explicit LossAccumulator(Stream& stream, double limit = std::numeric_limits<double>::infinity());
  // Queues the addition of one batch of `rows` images: `loss` f32 [1], their mean, and
  // `predictions` and `expected` i32 [rows], to count the hits; both may be empty.
  void add(const Tensor& loss, const Tensor& predictions, const Tensor& expected, int64_t rows);
  // Waits for the device.
  LossSums read() const;
  // Goes on from `sums`.
  void write(const LossSums& sums);

 private:
  Stream* stream_;
  double limit_;
  std::shared_ptr<Storage> sums_;
};

}  // namespace basin
