// What a network costs on this machine: FLOPs counted and seconds timed on a few steps.
#pragma once

#include <string>

#include "experiments/program/session.h"

namespace basin {

// Per image.
struct DeviceCost {
  double train_flops = 0, evaluate_flops = 0;
  double train_seconds = 0, evaluate_seconds = 0;
};

// Images of `side` x `side` pixels. Takes about five steps' time.
DeviceCost measure_device_cost(const std::string& model, int64_t side, int64_t classes,
                               Session& session);

}  // namespace basin
