// The tables of basin bench: sums, floors and percentages worked out by hand, the levels of the
// roofline, and the trace.
#include "experiments/bench/bench.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/bench/chrome_trace.h"
#include "experiments/bench/roofline.h"
#include "kernels/base/parallel.h"
#include "kernels/batch_norm/call.h"
#include "kernels/batch_norm_max_pool/call.h"
#include "kernels/conv2d/call.h"
#include "kernels/elementwise/call.h"
#include "kernels/gemm/call.h"
#include "kernels/pool/call.h"
#include "kernels/sgd/call.h"
#include "tests/support/errors.h"

using namespace basin;

namespace {

// 100 GB/s and 1 TFLOP/s: 10 FLOPs per byte.
DevicePeaks round_peaks() {
  DevicePeaks peaks;
  peaks.copy_bytes_per_second = 100e9;
  peaks.product_flops_per_second = 1e12;
  return peaks;
}

TimedCall timed(const CallDescription& call, double begin, double seconds) {
  return {call, begin, seconds};
}

// Two images of 4x4 pixels, 8 channels: x 1024 bytes, y 1024, w 256 bytes with a 1x1 kernel.
const Conv2dShape kPointwise{2, 4, 4, 8, 8, 1, 1, 1, 0};

BenchResult bench_of(const std::string& model, bool training, int64_t batch, int64_t side) {
  BenchOptions options;
  options.model = model;
  options.training = training;
  options.batch_size = batch;
  options.image_size = side;
  options.classes = 1000;
  options.steps = 1;
  options.warmup = 0;
  Session session;
  return bench(options, session);
}

}  // namespace

TEST_CASE("describe_call: geometry and what decides the bytes") {
  const Conv2dForward<float> forward{.shape = {16, 56, 54, 64, 128, 3, 5, 2, 1}};
  CHECK(geometry_text(describe_call(forward)) == "16x56x54x64 3x5/2 -> 128");
  CHECK(describe_call(forward).element_bytes == 4);
  CHECK(describe_call(forward).flops == forward.flops());
  CHECK(describe_call(forward).bytes == forward.bytes());
  const Conv2dBackwardData<double> backward{.shape = kPointwise, .dx = {nullptr, true}};
  CHECK(geometry_text(describe_call(backward)) == "2x4x4x8 1x1/1 -> 8 +accumulate");
  CHECK(describe_call(backward).element_bytes == 8);
  const Gemm<float> product{.transpose_a = true, .m = 2, .n = 3, .k = 4};
  CHECK(geometry_text(describe_call(product)) == "2x3x4 A^T");
  MaxPoolForward<float> pool{};
  pool.batch = 2, pool.height = 8, pool.width = 6, pool.channels = 5;
  CHECK(geometry_text(describe_call(pool)) == "2x8x6x5");
  AveragePoolForward<float> average{};
  average.batch = 2, average.area = 49, average.channels = 5;
  CHECK(geometry_text(describe_call(average)) == "98x5");
  const float residual = 0;
  BatchNormForward<float> norm{};
  norm.residual = &residual, norm.relu = true, norm.rows = 32, norm.channels = 8;
  CHECK(geometry_text(describe_call(norm)) == "32x8 +residual +relu");
  CHECK(geometry_text(describe_call(Fill<float>{nullptr, 0, 77})) == "77");
  SgdStep<float> sgd{};
  sgd.size = 11;
  CHECK(geometry_text(describe_call(sgd)) == "11");
}

TEST_CASE("call table: sums, rates and floors") {
  const Add<float> add{nullptr, nullptr, nullptr, 1000};    // 1000 FLOPs, 12 kB
  const Add<float> large{nullptr, nullptr, nullptr, 3000};  // 3000 FLOPs, 36 kB
  const Gemm<float> product{.m = 100, .n = 100, .k = 100};  // 2 MFLOP, 120 kB
  const std::vector<TimedCall> calls = {timed(describe_call(add), 0, 0.5e-6),
                                        timed(describe_call(product), 1e-6, 4e-6),
                                        timed(describe_call(large), 5e-6, 1.5e-6)};
  const DevicePeaks peaks = round_peaks();
  CHECK(floor_seconds(2e6, 120e3, peaks) == doctest::Approx(2e-6));
  CHECK(floor_seconds(1000, 12e3, peaks) == doctest::Approx(0.12e-6));

  const std::vector<CallRow> rows = call_table(calls, peaks, false);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].name == "gemm");  // the longest first
  CHECK(rows[0].count == 1);
  CHECK(rows[0].flop_rate() == doctest::Approx(0.5e12));
  CHECK(rows[0].byte_rate() == doctest::Approx(30e9));
  CHECK(rows[0].floor_seconds == doctest::Approx(2e-6));
  CHECK(rows[0].of_floor() == doctest::Approx(0.5));
  CHECK(!rows[0].memory_bound());
  CHECK(rows[1].name == "add");
  CHECK(rows[1].geometry == "");
  CHECK(rows[1].count == 2);
  CHECK(rows[1].seconds == doctest::Approx(2e-6));
  CHECK(rows[1].flops == 4000);
  CHECK(rows[1].bytes == 48e3);
  CHECK(rows[1].byte_rate() == doctest::Approx(24e9));
  CHECK(rows[1].floor_seconds == doctest::Approx(0.48e-6));
  CHECK(rows[1].of_floor() == doctest::Approx(0.24));
  CHECK(rows[1].memory_bound());

  const CallRow sum = total(rows);
  CHECK(sum.count == 3);
  CHECK(sum.seconds == doctest::Approx(6e-6));
  CHECK(sum.flops == 2004e3);
  CHECK(sum.bytes == 168e3);
  CHECK(sum.floor_seconds == doctest::Approx(2.48e-6));
  CHECK(sum.of_floor() == doctest::Approx(2.48 / 6));
  CHECK(!sum.memory_bound());

  const std::vector<CallRow> by_geometry = call_table(calls, peaks, true);
  REQUIRE(by_geometry.size() == 3);
  CHECK(by_geometry[1].geometry == "3000");
  CHECK(by_geometry[2].geometry == "1000");

  const StepProfile step{10e-6, calls};
  CHECK(step.call_seconds() == doctest::Approx(6e-6));
  CHECK(step.host_seconds() == doctest::Approx(4e-6));

  // A row of a call that bounds differently by size: the floor is the calls', not the sum's.
  const Gemm<float> thin{.m = 1, .n = 1000, .k = 1000};  // 2 MFLOP, 4.008 MB
  const std::vector<CallRow> mixed =
      call_table({timed(describe_call(product), 0, 4e-6), timed(describe_call(thin), 4e-6, 50e-6)},
                 peaks, false);
  REQUIRE(mixed.size() == 1);
  CHECK(mixed[0].floor_seconds == doctest::Approx(2e-6 + 40.08e-6));
  CHECK(mixed[0].memory_bound());
}

TEST_CASE("roofline: a block of batch norm by hand") {
  // conv, norm with ReLU and residual; backward: norm, weights' and data's gradient. T = 256
  // elements = 1024 bytes, a bit mask of T is 32 bytes; 2*2*16*8*8 = 4096 FLOPs a convolution.
  const float value = 0;
  float gradient = 0;
  BatchNormStatistics<float> statistics{};
  statistics.rows = 32, statistics.channels = 8;
  BatchNormForward<float> norm{};
  norm.residual = &value, norm.relu = true, norm.rows = 32, norm.channels = 8;
  BatchNormBackward<float> norm_backward{};
  norm_backward.relu = true, norm_backward.rows = 32, norm_backward.channels = 8;
  norm_backward.dx = norm_backward.dresidual = {&gradient};
  SgdStep<float> sgd{};
  sgd.size = 64;
  const std::vector<TimedCall> calls = {
      timed(describe_call(Conv2dForward<float>{.shape = kPointwise}), 0, 1),
      timed(describe_call(statistics), 1, 0.5),
      timed(describe_call(norm), 1.5, 0.5),
      timed(describe_call(norm_backward), 3, 1),
      timed(describe_call(Conv2dBackwardWeights<float>{.shape = kPointwise}), 4, 1),
      timed(describe_call(Conv2dBackwardData<float>{.shape = kPointwise, .dx = {nullptr, true}}), 5,
            1),
      timed(describe_call(sgd), 6, 1)};
  const double conv = 1024 + 256 + 1024;
  const std::vector<RooflineLevel> levels = roofline_levels(calls, round_peaks());
  REQUIRE(levels.size() == 5);

  CHECK(levels[0].name == "as run");
  CHECK(levels[0].kernels == 7);  // as fused, with y as mask, which is read twice
  CHECK(levels[0].bytes == 3 * conv + 1024 + 4 * 1024 + (6 + 2) * 1024 + 5 * 64 * 4);

  // norm 3, add 3, ReLU 2; ReLU 3, norm 5; the join of gradients 3, in place of a read
  CHECK(levels[1].name == "eager");
  CHECK(levels[1].kernels == 3 + 3 + 2 + 1 + 1);
  CHECK(levels[1].bytes == 3 * conv + (3 + 3 + 2 + 3 + 5 + 3) * 1024 + 44 * 64);

  CHECK(levels[2].name == "fused");
  CHECK(levels[2].kernels == 6);
  CHECK(levels[2].bytes == 3 * conv + 1024 + (4 + 6) * 1024 + 3 * 32 + 20 * 64);

  CHECK(levels[3].name == "persistent");
  CHECK(levels[3].bytes == 3 * conv + 1024 + (3 + 4) * 1024 + 3 * 32 + 20 * 64);

  CHECK(levels[4].name == "recompute");
  CHECK(levels[4].kernels == 4);  // convolution, norm+add+ReLU, both gradients, SGD
  CHECK(levels[4].bytes == 3 * conv + 2 * 1024 + 3 * 1024 + 32 + 20 * 64);

  // Every kernel here is bound by memory, and has the convolutions' FLOPs alone.
  for (size_t i = 1; i < levels.size(); ++i) {
    CHECK(levels[i].flops == 3 * 4096);
    CHECK(levels[i].floor_seconds == doctest::Approx(levels[i].bytes / 100e9));
  }
}

TEST_CASE("roofline: a stem in one call has the levels of one in its parts") {
  const float value = 0;
  float gradient = 0;
  uint8_t place = 0;
  const Conv2dShape shape{2, 16, 12, 3, 8, 7, 7, 2, 3};  // to 8x6, pooled to 4x3
  const int64_t rows = 2 * 8 * 6;
  for (const bool training : {true, false}) {
    CAPTURE(training);
    uint8_t* const index = training ? &place : nullptr;
    const TimedCall conv = timed(describe_call(Conv2dForward<float>{.shape = shape}), 0, 1);
    BatchNormStatistics<float> statistics{};
    statistics.rows = rows, statistics.channels = 8;
    BatchNormForward<float> forward{};
    forward.relu = true, forward.rows = rows, forward.channels = 8;
    BatchNormInverseStd<float> inverse_std{};
    inverse_std.channels = 8;
    std::vector<TimedCall> parts = {conv}, together = {conv};
    auto add = [](std::vector<TimedCall>& calls, const auto& call) {
      calls.push_back(timed(describe_call(call), 0, 1));
    };
    for (auto* calls : {&parts, &together}) {
      training ? add(*calls, statistics) : add(*calls, inverse_std);
    }
    add(parts, forward);
    add(parts, MaxPoolForward<float>{{}, {}, index, 2, 8, 6, 8});
    add(together, BatchNormMaxPoolForward<float>{{}, {}, index, 2, 8, 6, 8});
    if (training) {
      BatchNormBackward<float> backward{};
      backward.relu = true, backward.rows = rows, backward.channels = 8, backward.dx = {&gradient};
      add(parts, MaxPoolBackward<float>{{}, {}, {&gradient}, 2, 8, 6, 8});
      add(parts, backward);
      BatchNormMaxPoolBackward<float> both{};
      both.input.x = both.dy = &value, both.dx = {&gradient};
      both.batch = 2, both.height = 8, both.width = 6, both.channels = 8;
      add(together, both);
      for (auto* calls : {&parts, &together}) {
        add(*calls, Conv2dBackwardWeights<float>{.shape = shape});
      }
    }
    const std::vector<RooflineLevel> expected = roofline_levels(parts, round_peaks());
    const std::vector<RooflineLevel> levels = roofline_levels(together, round_peaks());
    REQUIRE(levels.size() == expected.size());
    REQUIRE(levels.size() == (training ? 5 : 3));
    for (size_t i = 1; i < levels.size(); ++i) {
      CAPTURE(levels[i].name);
      CHECK(levels[i].kernels == expected[i].kernels);
      CHECK(levels[i].bytes == expected[i].bytes);
      CHECK(levels[i].flops == expected[i].flops);
      CHECK(levels[i].floor_seconds == expected[i].floor_seconds);
    }
  }
}

TEST_CASE("roofline: ResNet-50's levels, beside those counted layer by layer elsewhere") {
  set_threads(2);
  // Bytes per image of 64x64 in fp32, of a script that lists the kernels of each level by hand. It
  // pads images to four channels and adds their normalisation: within 1 %.
  struct Case {
    const char* model;
    bool training;
    std::vector<double> bytes;  // of the levels behind "as run"
  };
  const std::vector<Case> cases = {
      {"resnet50", true, {78048896, 56566400, 42680960, 31664768}},
      // There each projection adds the shift again: three passes over 131072 elements less here.
      {"fixup_resnet50", true, {83144320 - 3 * 131072 * 4, 38512256, 28733056, 22457984}},
      {"resnet50", false, {26517408, 9379744}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.model);
    CAPTURE(c.training);
    // Weights count once per step: the difference between batches leaves activations.
    const auto two =
        roofline_levels(bench_of(c.model, c.training, 2, 64).profile.calls, round_peaks());
    const auto four =
        roofline_levels(bench_of(c.model, c.training, 4, 64).profile.calls, round_peaks());
    REQUIRE(two.size() == c.bytes.size() + 1);
    REQUIRE(four.size() == two.size());
    for (size_t i = 0; i < c.bytes.size(); ++i) {
      CAPTURE(two[i + 1].name);
      CHECK(std::abs((four[i + 1].bytes - two[i + 1].bytes) / 2 / c.bytes[i] - 1) < 0.01);
    }
    // An evaluation runs as the last level has it.
    const bool folds = !c.training;
    if (folds) CHECK(std::abs((four[0].bytes - two[0].bytes) / 2 / c.bytes.back() - 1) < 0.01);
  }
}

TEST_CASE("chrome trace: one event per call, in order") {
  const Add<float> add{nullptr, nullptr, nullptr, 1000};
  const StepProfile step{10e-6,
                         {timed(describe_call(add), 1e-6, 0.5e-6),
                          timed(describe_call(Fill<float>{nullptr, 0, 9}), 2e-6, 0)}};
  const auto trace = nlohmann::json::parse(chrome_trace(step, round_peaks(), "a \"title\""));
  std::vector<nlohmann::json> calls, steps;
  for (const auto& event : trace["traceEvents"]) {
    REQUIRE((event["ph"] == "X" || event["ph"] == "M"));
    if (event["ph"] == "M") continue;
    (event["cat"] == "call" ? calls : steps).push_back(event);
  }
  REQUIRE(steps.size() == 1);
  CHECK(steps[0]["name"] == "a \"title\"");
  CHECK(steps[0]["dur"].get<double>() == doctest::Approx(10));
  REQUIRE(calls.size() == 2);
  CHECK(calls[0]["name"] == "add");
  CHECK(calls[0]["ts"].get<double>() == doctest::Approx(1));  // microseconds
  CHECK(calls[0]["dur"].get<double>() == doctest::Approx(0.5));
  CHECK(calls[0]["args"]["GB/s"].get<double>() == doctest::Approx(24));
  CHECK(calls[0]["args"]["floor_us"].get<double>() == doctest::Approx(0.12));
  CHECK(!calls[1]["args"].contains("GB/s"));  // no time passed
}

TEST_CASE("bench: the observed step is the step") {
  const BenchResult result = bench_of("resnet8", true, 3, 8);
  CHECK(result.step_seconds.size() == 1);
  CHECK(result.step_cpu_seconds.size() == 1);
  const StepProfile& step = result.profile;
  REQUIRE(!step.calls.empty());
  double end = 0;
  for (const TimedCall& call : step.calls) {
    CHECK(call.seconds >= 0);
    CHECK(call.begin >= end);
    end = call.begin + call.seconds;
  }
  CHECK(step.seconds >= end);
  CHECK(step.host_seconds() >= 0);
  auto count = [&](const std::string& name) {
    return std::count_if(step.calls.begin(), step.calls.end(),
                         [&](const TimedCall& timed) { return timed.call.name == name; });
  };
  // Stem, three blocks of two, two projections; the stem needs no gradient for the images.
  CHECK(count("conv2d_forward") == 9);
  CHECK(count("conv2d_backward_weights") == 9);
  CHECK(count("conv2d_backward_data") == 8);
  CHECK(count("sgd_step") == 1);
}

TEST_CASE("median") {
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 3, 2}) == 2.5);
  CHECK_THROWS_AS(median({}), Error);
}

TEST_CASE("device peaks: both were measured") {
  set_threads(2);
  Session session;
  const DevicePeaks peaks = measure_device_peaks(session.stream, session.arena, DType::kF32);
  CHECK(peaks.copy_bytes_per_second > 0);
  CHECK(peaks.product_flops_per_second > 0);
  CHECK(peaks.copy_buffer_bytes >= 1 << 20);
  CHECK(peaks.product_side >= 256);
}

TEST_CASE("bench: captured steps are timed beside ordinary ones, where the device has them") {
  BenchOptions options;
  options.model = "fixup_resnet8";
  options.width = 4;
  options.batch_size = 2;
  options.image_size = 8;
  options.steps = 3;
  options.warmup = 0;
  struct Case {
    Device device;
    bool training, capture;
    size_t captured;
  };
  for (const Case& c :
       {Case{Device::kCpu, true, true, 0}, Case{Device::kEmulated, true, true, 3},
        Case{Device::kEmulated, true, false, 0}, Case{Device::kEmulated, false, true, 0}}) {
    Session session;
    session.use(c.device);
    session.capture_steps = c.capture;
    options.training = c.training;
    const BenchResult result = bench(options, session);
    CHECK(result.step_seconds.size() == 3);
    CHECK(result.captured_step_seconds.size() == c.captured);
    for (const double seconds : result.captured_step_seconds) CHECK(seconds > 0);
    CHECK(result.device_memory_bytes == 0);  // of a GPU alone
  }
}
