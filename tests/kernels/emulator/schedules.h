// The schedules that tests run emulated kernels under.
#pragma once

#include <string>
#include <vector>

#include "kernels/emulator/options.h"

namespace basin::test {

struct Schedule {
  std::string name;
  emulator::Options options;
};

// Every order, and several seeds of those that have one.
inline std::vector<Schedule> schedules() {
  using emulator::Order;
  const auto make = [](const char* name, Order order, uint64_t seed) {
    emulator::Options options;
    options.order = order;
    options.seed = seed;
    return Schedule{std::string(name) + (seed > 0 ? ", seed " + std::to_string(seed) : ""),
                    options};
  };
  return {make("linear", Order::kLinear, 0),
          make("reverse", Order::kReverse, 0),
          make("warps reversed", Order::kWarpsReversed, 0),
          make("random", Order::kRandom, 1),
          make("random", Order::kRandom, 2),
          make("greedy warps", Order::kGreedyWarps, 1),
          make("greedy warps", Order::kGreedyWarps, 2)};
}

// Those that the cases of kernels run under: fewer under the sanitizers, which find their faults in
// any; races between blocks need the different ways to deal blocks to workers.
inline std::vector<Schedule> kernel_schedules() {
  std::vector<Schedule> all = schedules();
#if defined(__SANITIZE_ADDRESS__)
  return {all[0], all[5]};
#elif defined(__SANITIZE_THREAD__)
  return {all[0], all[3], all[5]};
#else
  return all;
#endif
}

}  // namespace basin::test
