// Captured steps on the emulated device: equal to ordinary ones in every bit, and what they refuse.
#include "engine/captured_step.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>

#include "kernels/device/run.h"
#include "kernels/elementwise/call.h"
#include "tests/support/device_training.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Fixture {
  Stream stream{Device::kEmulated};
  StepArena arena{int64_t{1} << 20, Device::kEmulated};
  std::shared_ptr<Storage> memory = allocate_state(4, stream);

  CapturedStep step(std::function<void()> body, bool capture = true) {
    return CapturedStep(stream, arena, std::move(body), capture);
  }
  float* address() const { return static_cast<float*>(memory->data()); }
  float value() {
    float value = 0;
    stream.copy_to_host(&value, address(), 4);
    return value;
  }
};

}  // namespace

TEST_CASE("captured step: the bits of ordinary steps, with a learning rate that changes") {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const DeviceCase& network : {kDeviceCases[0], kDeviceCases[1]}) {
      CAPTURE(std::string(network.name));
      CAPTURE(std::string(name_of(dtype)));
      const DeviceRun ordinary = run_on_device(network, Device::kEmulated, {.dtype = dtype});
      const DeviceRun captured =
          run_on_device(network, Device::kEmulated, {.capture = true, .dtype = dtype});
      CHECK(captured.losses == ordinary.losses);
      CHECK(captured.values == ordinary.values);
      CHECK(captured.momentum == ordinary.momentum);
      CHECK(captured.copy == ordinary.copy);
      CHECK(captured.growths == ordinary.growths);
    }
  }
}

TEST_CASE("captured step: a scalar passed by value freezes, and the comparison above shows it") {
  auto last_value = [](bool capture) {
    Fixture f;
    float scalar = 0;
    CapturedStep step = f.step(
        [&] {
          run(Fill<float>{f.address(), scalar, 1}, f.stream);
        },
        capture);
    for (int i = 1; i <= 5; ++i) {
      scalar = static_cast<float>(i);
      step.run();
    }
    return f.value();
  };
  CHECK(last_value(false) == 5);
  CHECK(last_value(true) == 3);  // of the run that was recorded
}

TEST_CASE("captured step: two ordinary runs, then one recording, however often it runs") {
  Fixture f;
  int executions = 0;
  CapturedStep step = f.step([&] {
    ++executions;
    run(Add<float>{f.address(), f.address(), f.address(), 1}, f.stream);
  });
  const float one = 1;
  f.stream.copy_to_device(f.address(), &one, 4);
  for (int i = 0; i < 6; ++i) {
    CHECK(step.captured() == (i > 2));
    step.run();
    CHECK(f.value() == std::ldexp(1.0f, i + 1));
  }
  CHECK(executions == 3);
}

TEST_CASE("captured step: what must not be in one is refused when it is recorded") {
  float host = 0;
  struct Case {
    const char* message;
    std::function<void(Fixture&)> action;
  };
  const Case cases[] = {
      {"a copy from the host", [&](Fixture& f) { f.stream.copy_to_device(f.address(), &host, 4); }},
      {"a copy to the host", [&](Fixture& f) { f.stream.copy_to_host(&host, f.address(), 4); }},
      {"waiting for the device", [](Fixture& f) { f.stream.synchronize(); }},
  };
  for (const auto& [message, action] : cases) {
    CAPTURE(std::string(message));
    Fixture f;
    CapturedStep step = f.step([&] { action(f); });
    step.run();
    step.run();
    const std::string error = error_of([&] { step.run(); });
    CHECK(contains(error, message));
    CHECK(contains(error, "captured step"));
    CHECK(!f.stream.capturing());
    CHECK(f.value() == 0);  // the stream still works
  }
  {
    Fixture f;
    int64_t bytes = 0;
    CapturedStep step = f.step([&] { f.arena.allocate(bytes += 10000); });
    step.run();
    step.run();
    CHECK(contains(error_of([&] { step.run(); }), "more memory"));
    CHECK(!step.captured());
    CHECK(contains(error_of([&] { step.run(); }), "more memory"));
    CHECK(bytes == 40000);  // recorded a second time, not replayed
  }
  {
    Fixture f;
    CapturedStep step = f.step([&] { run(Fill<float>{f.address(), 1, 1}, f.stream); });
    for (int i = 0; i < 4; ++i) step.run();
    const auto forgotten = f.arena.allocate(1);
    CHECK(contains(error_of([&] { step.run(); }), "before a captured step"));
  }
}

TEST_CASE_FIXTURE(OnCpu, "captured step: on the CPU every run is an ordinary one") {
  int executions = 0;
  CapturedStep step(
      stream, arena, [&] { ++executions; }, true);
  for (int i = 0; i < 5; ++i) step.run();
  CHECK(executions == 5);
  CHECK(!step.captured());
  CHECK(contains(error_of([&] { stream.begin_capture(); }), "CPU"));
}
