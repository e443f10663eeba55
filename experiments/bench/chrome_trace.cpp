// Writing the Trace Event Format.
#include "experiments/bench/chrome_trace.h"

#include <nlohmann/json.hpp>

namespace basin {

std::string chrome_trace(const StepProfile& step, const DevicePeaks& peaks,
                         const std::string& title) {
  using Json = nlohmann::ordered_json;
  constexpr int kStepTrack = 1, kCallTrack = 2;
  constexpr double kMicroseconds = 1e6;
  Json events = Json::array();
  auto name_of = [&](const char* what, int track, const std::string& name) {
    events.push_back(
        {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", name}}}});
  };
  name_of("process_name", kStepTrack, title);
  name_of("thread_name", kStepTrack, "step");
  name_of("thread_name", kCallTrack, "calls");
  events.push_back({{"name", title},
                    {"cat", "step"},
                    {"ph", "X"},
                    {"pid", 1},
                    {"tid", kStepTrack},
                    {"ts", 0.0},
                    {"dur", kMicroseconds * step.seconds}});
  for (const TimedCall& timed : step.calls) {
    const CallDescription& call = timed.call;
    Json arguments = {{"geometry", geometry_text(call)},
                      {"flops", call.flops},
                      {"bytes", call.bytes},
                      {"floor_us", kMicroseconds * floor_seconds(call.flops, call.bytes, peaks)}};
    if (timed.seconds > 0) {
      arguments["GB/s"] = 1e-9 * call.bytes / timed.seconds;
      arguments["TFLOP/s"] = 1e-12 * call.flops / timed.seconds;
    }
    events.push_back({{"name", call.name},
                      {"cat", "call"},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", kCallTrack},
                      {"ts", kMicroseconds * timed.begin},
                      {"dur", kMicroseconds * timed.seconds},
                      {"args", arguments}});
  }
  return Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump(1) + "\n";
}

}  // namespace basin
