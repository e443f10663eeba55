// The subcommand that times: its options, and the tables it prints.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/bench/bench.h"
#include "experiments/bench/chrome_trace.h"
#include "experiments/bench/peaks.h"
#include "experiments/bench/roofline.h"
#include "experiments/program/command.h"
#include "kernels/base/parallel.h"

namespace basin {
namespace {

using Json = nlohmann::ordered_json;

struct BenchCommand {
  BenchOptions bench;
  std::string mode = "train";
  bool by_shape = false;
  std::string trace, csv;

  Options list() {
    return {
        {"--model", &bench.model, "network, as for train"},
        {"--width", &bench.width, "channels of the first stage; 0: the network's own"},
        {"--image-size", &bench.image_size, "side of the images in pixels"},
        {"--batch-size", &bench.batch_size, "images per step"},
        {"--classes", &bench.classes, "outputs of the network"},
        {"--mode", &mode, "train or eval", one_of({"train", "eval"})},
        {"--steps", &bench.steps, "steps measured; up to three more are observed"},
        {"--warmup", &bench.warmup, "steps before"},
        {"--by-shape", &by_shape, "a row for each call and geometry: layers of one shape together"},
        {"--trace", &trace, "write the observed step as a Chrome trace, for ui.perfetto.dev"},
        {"--csv", &csv, "write the table of calls as CSV"},
        {"--nvtx", &bench.nvtx, "NVTX ranges around calls, for NVIDIA's profilers"}};
  }
};

// All that one call of the command found out.
struct Report {
  const BenchCommand& options;
  Device device;
  Precision precision;
  BenchResult result;
  DevicePeaks peaks;
  std::vector<CallRow> rows;
  std::vector<RooflineLevel> levels;
};

std::string title(const BenchOptions& bench, const std::string& mode) {
  return fmt::format("{} {}, batch {} of {}x{}", bench.model, mode, bench.batch_size,
                     bench.image_size, bench.image_size);
}

double percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

// TFLOP/s of a GPU and of one core alike.
std::string teraflops(double rate) {
  return fmt::format("{:.{}f}", 1e-12 * rate, rate < 10e12 ? 3 : 1);
}

// How long captured steps took, or why none was timed; nothing on the CPU, which has no such.
std::string captured_text(const Report& report) {
  if (report.device == Device::kCpu) return "";
  if (report.options.mode != "train") return "captured  not timed: evaluation is not captured\n";
  const std::vector<double>& times = report.result.captured_step_seconds;
  if (times.empty()) return "captured  not timed: --no-graph\n";
  const auto [least, most] = std::minmax_element(times.begin(), times.end());
  const double step = median(times);
  return fmt::format(
      "captured  {:.3f} ms median (min {:.3f}, max {:.3f}; {} replays), {:.1f} images/s{}\n",
      1e3 * step, 1e3 * *least, 1e3 * *most, times.size(),
      static_cast<double>(report.options.bench.batch_size) / step,
      report.device == Device::kEmulated ? "; emulated: a list of calls, no CUDA graph" : "");
}

// Of a GPU, the most that was held of its memory.
std::string device_memory_text(const BenchResult& result) {
  if (result.device_memory_bytes == 0) return "";
  return fmt::format(", {:.1f} MB of the device's at most",
                     1e-6 * static_cast<double>(result.device_memory_bytes));
}

std::string header_text(const Report& report) {
  const BenchOptions& bench = report.options.bench;
  const BenchResult& result = report.result;
  const auto [least, most] =
      std::minmax_element(result.step_seconds.begin(), result.step_seconds.end());
  const double step = median(result.step_seconds);
  const StepProfile& profile = result.profile;
  constexpr double kMega = 1e-6;
  return fmt::format(
      "{}, {} classes, {}, {} threads\n"
      "step      {:.3f} ms median (min {:.3f}, max {:.3f}; {} steps after {}), CPU time {:.3f} ms, "
      "{:.1f} images/s\n"
      "{}"
      "memory    {:.1f} MB activations, {:.1f} MB process at most{}\n"
      "peaks     copy {:.1f} GB/s (2 buffers of {} MiB), product {} TFLOP/s ({} x {} x {}), "
      "measured in this run\n"
      "observed  {:.3f} ms step: {:.3f} ms in {} calls, {:.3f} ms ({:.1f} %) between them\n",
      title(bench, report.options.mode), bench.classes, name_of(report.precision), threads(),
      1e3 * step, 1e3 * *least, 1e3 * *most, result.step_seconds.size(), bench.warmup,
      1e3 * median(result.step_cpu_seconds), static_cast<double>(bench.batch_size) / step,
      captured_text(report), kMega * static_cast<double>(result.activation_bytes),
      kMega * static_cast<double>(result.peak_memory_bytes), device_memory_text(result),
      1e-9 * report.peaks.copy_bytes_per_second, report.peaks.copy_buffer_bytes >> 20,
      teraflops(report.peaks.product_flops_per_second), report.peaks.product_side,
      report.peaks.product_side, report.peaks.product_side, 1e3 * profile.seconds,
      1e3 * profile.call_seconds(), profile.calls.size(), 1e3 * profile.host_seconds(),
      percent(profile.host_seconds(), profile.seconds));
}

std::string calls_text(const Report& report) {
  size_t names = 0, geometries = 0;
  for (const CallRow& row : report.rows) {
    names = std::max(names, row.name.size());
    geometries = std::max(geometries, row.geometry.size());
  }
  auto line = [&](const CallRow& row) {
    return fmt::format(
        "{:<{}}  {:<{}}{:>5} {:>10.3f} {:>6.1f} {:>8.1f} {:>6.0f} {:>9} {:>6.0f} {:>10.3f} "
        "{:>6.0f}  {}\n",
        row.name, names, row.geometry, geometries, row.count, 1e3 * row.seconds,
        percent(row.seconds, report.result.profile.seconds), 1e-9 * row.byte_rate(),
        percent(row.byte_rate(), report.peaks.copy_bytes_per_second), teraflops(row.flop_rate()),
        percent(row.flop_rate(), report.peaks.product_flops_per_second), 1e3 * row.floor_seconds,
        100 * row.of_floor(), row.memory_bound() ? "memory" : "compute");
  };
  std::string text =
      fmt::format("\n{:<{}}  {:<{}}{:>5} {:>10} {:>6} {:>8} {:>6} {:>9} {:>6} {:>10} {:>6}  {}\n",
                  "call", names, "", geometries, "count", "ms", "% step", "GB/s", "% copy",
                  "TFLOP/s", "% prod", "floor ms", "% floor", "bound");
  for (const CallRow& row : report.rows) text += line(row);
  return text + line(total(report.rows));
}

std::string levels_text(const Report& report) {
  const double images = static_cast<double>(report.options.bench.batch_size);
  const double step = median(report.result.step_seconds);
  std::string text = fmt::format(
      "\n{:<11} {:>7} {:>9} {:>9} {:>10} {:>10} {:>10} {:>11} {:>12}  {}\n", "roofline", "kernels",
      "GFLOP", "GB", "flop ms", "byte ms", "floor ms", "images/s", "step/floor", "what");
  for (const RooflineLevel& level : report.levels) {
    text += fmt::format(
        "{:<11} {:>7} {:>9.3f} {:>9.3f} {:>10.3f} {:>10.3f} {:>10.3f} {:>11.1f} {:>12.2f}  {}\n",
        level.name, level.kernels, 1e-9 * level.flops, 1e-9 * level.bytes,
        1e3 * level.flops / report.peaks.product_flops_per_second,
        1e3 * level.bytes / report.peaks.copy_bytes_per_second, 1e3 * level.floor_seconds,
        images / level.floor_seconds, step / level.floor_seconds, level.meaning);
  }
  return text;
}

Json json_of(const Report& report) {
  const BenchOptions& bench = report.options.bench;
  const StepProfile& profile = report.result.profile;
  const DevicePeaks& peaks = report.peaks;
  Json calls = Json::array(), levels = Json::array();
  for (const CallRow& row : report.rows) {
    calls.push_back({{"name", row.name},
                     {"geometry", row.geometry},
                     {"count", row.count},
                     {"seconds", row.seconds},
                     {"flops", row.flops},
                     {"bytes", row.bytes},
                     {"bytes_per_second", row.byte_rate()},
                     {"of_copy_peak", row.byte_rate() / peaks.copy_bytes_per_second},
                     {"flops_per_second", row.flop_rate()},
                     {"of_product_peak", row.flop_rate() / peaks.product_flops_per_second},
                     {"floor_seconds", row.floor_seconds},
                     {"of_floor", row.of_floor()},
                     {"bound", row.memory_bound() ? "memory" : "compute"}});
  }
  for (const RooflineLevel& level : report.levels) {
    levels.push_back({{"name", level.name},
                      {"meaning", level.meaning},
                      {"kernels", level.kernels},
                      {"flops", level.flops},
                      {"bytes", level.bytes},
                      {"floor_seconds", level.floor_seconds}});
  }
  return {{"model", bench.model},
          {"mode", report.options.mode},
          {"batch_size", bench.batch_size},
          {"image_size", bench.image_size},
          {"classes", bench.classes},
          {"width", bench.width},
          {"precision", name_of(report.precision)},
          {"threads", threads()},
          {"step_seconds", report.result.step_seconds},
          {"captured_step_seconds", report.result.captured_step_seconds},
          {"cpu_seconds", report.result.step_cpu_seconds},
          {"activation_bytes", report.result.activation_bytes},
          {"peak_memory_bytes", report.result.peak_memory_bytes},
          {"device_memory_bytes", report.result.device_memory_bytes},
          {"peaks",
           {{"copy_bytes_per_second", peaks.copy_bytes_per_second},
            {"copy_buffer_bytes", peaks.copy_buffer_bytes},
            {"product_flops_per_second", peaks.product_flops_per_second},
            {"product_side", peaks.product_side}}},
          {"observed_step",
           {{"seconds", profile.seconds},
            {"call_seconds", profile.call_seconds()},
            {"host_seconds", profile.host_seconds()}}},
          {"calls", calls},
          {"roofline", levels}};
}

// The rows of the table in full precision: one column per field of "calls" in the JSON.
void write_csv(const Report& report) {
  const Json calls = json_of(report)["calls"];
  std::vector<std::string> columns;
  for (const auto& field : calls.front().items()) columns.push_back(field.key());
  CsvTable table(columns);
  for (const Json& call : calls) {
    std::vector<std::string> cells;
    for (const auto& [key, value] : call.items()) {
      cells.push_back(value.is_string() ? value.get<std::string>()
                                        : csv_number(value.get<double>()));
    }
    table.add_row(cells);
  }
  table.write(report.options.csv);
}

}  // namespace

Command bench_command() {
  return make_command<BenchCommand>(
      "time training steps or evaluation passes on random images, call by call",
      [](const BenchCommand& command, Session& session) {
        BenchOptions options = command.bench;
        options.training = command.mode == "train";
        Report report{
            command, session.stream.device(), session.precision, bench(options, session), {}, {},
            {}};
        // After the steps, whose peak memory this would raise.
        report.peaks = measure_device_peaks(session.stream, session.arena,
                                            activation_dtype(session.precision));
        const StepProfile& profile = report.result.profile;
        report.rows = call_table(profile.calls, report.peaks, command.by_shape);
        report.levels = roofline_levels(profile.calls, report.peaks);
        if (!command.trace.empty()) {
          write_file_atomically(command.trace,
                                chrome_trace(profile, report.peaks, title(options, command.mode)));
        }
        if (!command.csv.empty()) write_csv(report);
        return printed(json_of(report),
                       header_text(report) + calls_text(report) + levels_text(report));
      });
}

}  // namespace basin
