// Timing steps and the calls they are made of.
#include "experiments/bench/bench.h"

#include <algorithm>
#include <ctime>
#include <fstream>

#include "engine/captured_step.h"
#include "engine/sgd.h"
#include "engine/transfer.h"
#include "kernels/base/random.h"
#include "kernels/device/clock.h"
#include "kernels/device/nvtx_ranges.h"
#include "models/registry.h"

namespace basin {
namespace {

constexpr int64_t kMostObservedSteps = 3;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

// Notes the calls of one step and when they ran.
class CallRecorder final : public CallObserver {
 public:
  CallRecorder(const Stream& stream, bool nvtx) : clock_(stream), nvtx_(nvtx) {}

  void begin_step() {
    clock_.clear();
    calls_.clear();
    clock_.mark();
  }
  void announce(const CallDescription& call) override { calls_.push_back(call); }
  void begin() override {
    if (nvtx_) nvtx::push(calls_.back().name);
    clock_.mark();
  }
  void end(const char*, double, double) override {
    clock_.mark();
    if (nvtx_) nvtx::pop();
  }
  StepProfile end_step() {
    clock_.mark();
    const std::vector<double> times = clock_.seconds();
    StepProfile step;
    step.seconds = times.back();
    for (size_t i = 0; i < calls_.size(); ++i) {
      const double begin = times[1 + 2 * i], end = times[2 + 2 * i];
      step.calls.push_back({calls_[i], begin, end - begin});
    }
    return step;
  }

 private:
  CallClock clock_;
  bool nvtx_;
  std::vector<CallDescription> calls_;
};

}  // namespace

BenchResult bench(const BenchOptions& options, Session& session) {
  BASIN_CHECK(options.steps >= 1 && options.warmup >= 0 && options.batch_size >= 1 &&
                  options.image_size >= 1,
              "--steps, --batch-size and --image-size must be at least 1, --warmup at least 0");
  BASIN_CHECK(!options.nvtx || nvtx::kAvailable,
              "--nvtx: this program was built without CUDA; configure with the cuda preset");
  auto network = make_network({options.model, options.classes, options.width, false},
                              activation_dtype(session.precision), session.stream,
                              options.training ? State::Use::kTraining : State::Use::kValuesOnly);
  network->initialize(1);
  std::unique_ptr<Sgd> sgd;
  if (options.training) sgd = std::make_unique<Sgd>(network->state(), SgdOptions{});
  const Shape image_shape{options.batch_size, options.image_size, options.image_size, 3};
  const Tensor drawn(allocate_state(image_shape.elements() * 4, session.stream), image_shape,
                     DType::kF32);
  const Shape target_shape{options.batch_size, options.classes};
  const Tensor targets(allocate_state(target_shape.elements() * 4, session.stream), target_shape,
                       DType::kF32);
  RandomStream random(1, RandomPurpose::kAugmentation);
  std::vector<float> pixels(static_cast<size_t>(drawn.size()));
  for (float& pixel : pixels) pixel = static_cast<float>(random.normal());
  upload(pixels.data(), drawn, session.stream);
  // In what the network computes in, as a training run's images are made.
  Tape conversion(session.stream, session.arena, false);
  const Tensor images = convert(conversion, drawn, network->state().dtype());
  std::vector<float> one_hot(static_cast<size_t>(targets.size()));
  for (int64_t i = 0; i < options.batch_size; ++i) {
    one_hot[static_cast<size_t>(i * options.classes + i % options.classes)] = 1;
  }
  upload(one_hot.data(), targets, session.stream);
  auto step = [&] {
    network->state().begin_step();
    Tape tape(session.stream, session.arena, options.training);
    const Tensor logits =
        network->forward(tape, images, options.training ? Mode::kTrain : Mode::kEvaluate);
    if (options.training) {
      const Tensor loss = softmax_cross_entropy(tape, logits, targets);
      tape.backward(loss);
      sgd->step(0.01);
    }
  };
  BenchResult result;
  for (int64_t i = 0; i < options.warmup; ++i) step();
  // Seconds between the ends of steps.
  auto step_times = [](const CallClock& clock) {
    const std::vector<double> marks = clock.seconds();
    std::vector<double> times;
    for (size_t i = 1; i < marks.size(); ++i) times.push_back(marks[i] - marks[i - 1]);
    return times;
  };
  CallClock clock(session.stream);
  clock.mark();
  for (int64_t i = 0; i < options.steps; ++i) {
    check_interruption();
    const double cpu = cpu_seconds();
    step();
    clock.mark();
    result.step_cpu_seconds.push_back(cpu_seconds() - cpu);
  }
  result.step_seconds = step_times(clock);

  if (options.training && session.capture_steps && session.stream.device() != Device::kCpu) {
    CapturedStep captured(session.stream, session.arena, step, true);
    while (!captured.captured()) captured.run();
    CallClock captured_clock(session.stream);
    captured_clock.mark();
    for (int64_t i = 0; i < options.steps; ++i) {
      check_interruption();
      captured.run();
      captured_clock.mark();
    }
    result.captured_step_seconds = step_times(captured_clock);
  }

  CallRecorder recorder(session.stream, options.nvtx);
  session.stream.observer = &recorder;
  std::vector<StepProfile> observed;
  for (int64_t i = 0; i < std::min(options.steps, kMostObservedSteps); ++i) {
    recorder.begin_step();
    step();
    observed.push_back(recorder.end_step());
  }
  session.stream.observer = nullptr;
  std::sort(observed.begin(), observed.end(),
            [](const StepProfile& a, const StepProfile& b) { return a.seconds < b.seconds; });
  result.profile = std::move(observed[observed.size() / 2]);
  result.activation_bytes = session.arena.peak_bytes();
  result.peak_memory_bytes = peak_memory();
  if (session.stream.device() == Device::kCuda) {
    result.device_memory_bytes = memory_use(Device::kCuda).peak;
  }
  return result;
}

double median(std::vector<double> values) {
  BASIN_CHECK(!values.empty(), "the median of no values");
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace basin
