// Data sets whose images lie in device memory as bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/dataset.h"
#include "engine/tensor.h"
#include "kernels/device/stream.h"

namespace basin::data {

// Those of the sets in use, each uploaded once.
class ResidentImages {
 public:
  // `limit_bytes`: of all together; none: a quarter of the device's memory.
  explicit ResidentImages(std::optional<int64_t> limit_bytes = {}) : limit_bytes_(limit_bytes) {}

  // The images of `dataset` as Dataset::read() gives them, one after the other [size, height,
  // width, 3], on the stream's device; uploaded at the first call, and kept as long as
  // somebody holds them. Null where they do not fit. All calls are for one device.
  std::shared_ptr<const Storage> of(const std::shared_ptr<const Dataset>& dataset, Stream& stream);

 private:
  struct Known {
    std::weak_ptr<const Dataset> dataset;
    std::weak_ptr<const Storage> images;
  };
  std::optional<int64_t> limit_bytes_;
  std::vector<Known> known_;
};

}  // namespace basin::data
