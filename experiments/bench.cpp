// Timing steps and the calls they are made of.
#include "experiments/bench.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <map>

#include "engine/sgd.h"
#include "engine/transfer.h"
#include "kernels/random.h"
#include "models/network.h"

namespace basin {
namespace {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

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

class CallTable final : public CallObserver {
 public:
  void begin() override { start_ = wall_seconds(); }
  void end(const char* name, double flops, double bytes) override {
    CallTime& row = rows_[name];
    row.name = name;
    ++row.calls;
    row.seconds += wall_seconds() - start_;
    row.flops += flops;
    row.bytes += bytes;
  }
  std::vector<CallTime> rows() const {
    std::vector<CallTime> rows;
    for (const auto& [name, row] : rows_) rows.push_back(row);
    std::sort(rows.begin(), rows.end(),
              [](const CallTime& a, const CallTime& b) { return a.seconds > b.seconds; });
    return rows;
  }

 private:
  std::map<std::string, CallTime> rows_;
  double start_ = 0;
};

}  // namespace

BenchResult bench(const BenchOptions& options, Session& session) {
  BASIN_CHECK(options.steps >= 1 && options.warmup >= 0 && options.batch_size >= 1 &&
                  options.image_size >= 1,
              "--steps, --batch-size and --image-size must be at least 1");
  auto network =
      make_network({options.model, options.classes, 0, false}, DType::kF32, session.stream,
                   options.training ? State::Use::kTraining : State::Use::kValuesOnly);
  network->initialize(1);
  std::unique_ptr<Sgd> sgd;
  if (options.training)
    sgd = std::make_unique<Sgd>(network->state(), SgdOptions{}, reference_sgd_rule);
  const Shape image_shape{options.batch_size, options.image_size, options.image_size, 3};
  const Tensor images(allocate_state(image_shape.elements() * 4, session.stream), image_shape,
                      DType::kF32);
  const Shape target_shape{options.batch_size, options.classes};
  const Tensor targets(allocate_state(target_shape.elements() * 4, session.stream), target_shape,
                       DType::kF32);
  RandomStream random(1, RandomPurpose::kAugmentation);
  std::vector<float> pixels(static_cast<size_t>(images.size()));
  for (float& pixel : pixels) pixel = static_cast<float>(random.normal());
  upload(pixels.data(), images, session.stream);
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
    session.stream.synchronize();
  };
  BenchResult result;
  for (int64_t i = 0; i < options.warmup; ++i) step();
  for (int64_t i = 0; i < options.steps; ++i) {
    check_interruption();
    const double wall = wall_seconds(), cpu = cpu_seconds();
    step();
    result.step_seconds.push_back(wall_seconds() - wall);
    result.step_cpu_seconds.push_back(cpu_seconds() - cpu);
  }
  CallTable table;
  session.stream.observer = &table;
  step();
  session.stream.observer = nullptr;
  result.calls = table.rows();
  result.activation_bytes = session.arena.peak_bytes();
  result.peak_memory_bytes = peak_memory();
  return result;
}

}  // namespace basin
