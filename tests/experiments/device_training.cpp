// Training on the emulated device: how often the host waits, and what a diverged loss says.
#include <doctest/doctest.h>

#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("device training: the host waits as often in an epoch of 40 steps as in one of 20") {
  const TemporaryFolder folder;
  for (const bool capture : {true, false}) {
    int64_t waits[2];
    for (const int64_t batches : {20, 40}) {
      const std::string name = concat(batches, capture ? "-captured" : "");
      write_tiny_data(folder.path / name, 3 * batches, 6, 3);
      TrainOptions options = tiny_options(folder.path / name, folder.path / ("run-" + name));
      options.batch_size = 3;
      options.epochs = 1;
      options.train_eval_size = 6;
      const auto session = small_session(Device::kEmulated);
      session->capture_steps = capture;
      const auto result = train(options, *session);
      CHECK(result.epochs.back().train_loss > 0);
      waits[batches == 40] = session->stream.waits();
    }
    CHECK(waits[0] == waits[1]);
  }
}

TEST_CASE("device training: a loss beyond all bounds ends it, with the number of its batch") {
  const TemporaryFolder folder;
  write_tiny_data(folder.path / "data", 60, 6, 3);
  for (const Device device : {Device::kCpu, Device::kEmulated}) {
    CAPTURE(std::string(name_of(device)));
    TrainOptions options = tiny_options(folder.path / "data", folder.path / name_of(device));
    options.schedule = {1e12, {}, 0.1};
    const auto session = small_session(device);
    const std::string error = error_of([&] { train(options, *session); });
    CHECK(contains(error, "in epoch 1, batch 2: training diverged"));
    CHECK(contains(error, "--lr"));
  }
}
