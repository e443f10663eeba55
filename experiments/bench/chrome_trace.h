// A step on a time line that chrome://tracing and ui.perfetto.dev open.
#pragma once

#include <string>

#include "experiments/bench/call_table.h"

namespace basin {

// JSON of the Trace Event Format: one complete event ("ph": "X", category "call") per call, with
// its geometry, FLOPs, bytes, floor and rates; above them one of the whole step, category "step".
std::string chrome_trace(const StepProfile& step, const DevicePeaks& peaks,
                         const std::string& title);

}  // namespace basin
