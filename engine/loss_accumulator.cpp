// Sums of losses in device memory.
#include "engine/loss_accumulator.h"

#include "kernels/device/run.h"

namespace basin {

LossAccumulator::LossAccumulator(Stream& stream, double limit)
    : stream_(&stream), limit_(limit), sums_(allocate_state(sizeof(LossSums), stream)) {}

void LossAccumulator::add(const Tensor& loss, const Tensor& predictions, const Tensor& expected,
                          int64_t rows) {
  BASIN_CHECK(!predictions || (predictions.size() == rows && expected && expected.size() == rows),
              "of ", rows, " images there must be as many predictions and classes");
  run(AddLoss{.loss = loss.data<float>(),
              .predictions = predictions.data_or_null<int32_t>(),
              .expected = expected.data_or_null<int32_t>(),
              .sums = static_cast<LossSums*>(sums_->data()),
              .limit = limit_,
              .rows = rows},
      *stream_);
}

LossSums LossAccumulator::read() const {
  LossSums sums;
  stream_->copy_to_host(&sums, sums_->data(), sizeof(sums));
  return sums;
}

void LossAccumulator::write(const LossSums& sums) {
  stream_->copy_to_device(sums_->data(), &sums, sizeof(sums));
}

}  // namespace basin
