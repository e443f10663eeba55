// Counting and timing a few steps.
#include "experiments/plan/device_cost.h"

#include <algorithm>

#include "experiments/bench/bench.h"

namespace basin {

DeviceCost measure_device_cost(const std::string& model, int64_t side, int64_t classes,
                               Session& session) {
  BenchOptions options;
  options.model = model;
  options.image_size = side;
  options.classes = classes;
  // Enough images for the speed of a real step, few enough to wait for.
  options.batch_size = side > 64 ? 4 : 32;
  options.steps = 3;
  options.warmup = 1;
  DeviceCost cost;
  for (const bool training : {true, false}) {
    options.training = training;
    const BenchResult result = bench(options, session);
    const auto images = static_cast<double>(options.batch_size);
    double flops = 0;
    for (const TimedCall& timed : result.profile.calls) flops += timed.call.flops;
    (training ? cost.train_flops : cost.evaluate_flops) = flops / images;
    const std::vector<double>& seconds =
        result.captured_step_seconds.empty() ? result.step_seconds : result.captured_step_seconds;
    (training ? cost.train_seconds : cost.evaluate_seconds) =
        *std::min_element(seconds.begin(), seconds.end()) / images;
  }
  return cost;
}

}  // namespace basin
