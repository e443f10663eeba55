// Grouping calls and adding them up.
#include "experiments/bench/call_table.h"

#include <algorithm>
#include <map>

namespace basin {

double StepProfile::call_seconds() const {
  double sum = 0;
  for (const TimedCall& call : calls) sum += call.seconds;
  return sum;
}

double floor_seconds(double flops, double bytes, const DevicePeaks& peaks) {
  return std::max(flops / peaks.product_flops_per_second, bytes / peaks.copy_bytes_per_second);
}

double CallRow::flop_rate() const {
  return seconds > 0 ? flops / seconds : 0;
}

double CallRow::byte_rate() const {
  return seconds > 0 ? bytes / seconds : 0;
}

double CallRow::of_floor() const {
  return seconds > 0 ? floor_seconds / seconds : 0;
}

std::vector<CallRow> call_table(const std::vector<TimedCall>& calls, const DevicePeaks& peaks,
                                bool by_geometry) {
  std::map<std::pair<std::string, std::string>, CallRow> groups;
  for (const TimedCall& timed : calls) {
    const CallDescription& call = timed.call;
    const std::string geometry = by_geometry ? geometry_text(call) : "";
    CallRow& row = groups[{call.name, geometry}];
    row.name = call.name;
    row.geometry = geometry;
    ++row.count;
    row.seconds += timed.seconds;
    row.flops += call.flops;
    row.bytes += call.bytes;
    const double floor = floor_seconds(call.flops, call.bytes, peaks);
    row.floor_seconds += floor;
    if (call.bytes / peaks.copy_bytes_per_second >= floor) row.memory_floor_seconds += floor;
  }
  std::vector<CallRow> rows;
  for (auto& [key, row] : groups) rows.push_back(std::move(row));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const CallRow& a, const CallRow& b) { return a.seconds > b.seconds; });
  return rows;
}

CallRow total(const std::vector<CallRow>& rows) {
  CallRow sum;
  sum.name = "all calls";
  for (const CallRow& row : rows) {
    sum.count += row.count;
    sum.seconds += row.seconds;
    sum.flops += row.flops;
    sum.bytes += row.bytes;
    sum.floor_seconds += row.floor_seconds;
    sum.memory_floor_seconds += row.memory_floor_seconds;
  }
  return sum;
}

}  // namespace basin
