// The main function of the kernel cases on the emulated device. At the end it says what they
// covered, and fails when they left a kernel out.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "kernels/emulator/options.h"
#include "tests/support/kernel_case.h"

namespace {

// Lines with a launch(...) in the kernel files.
int64_t launches_in_source() {
  std::istringstream files(BASIN_KERNEL_FILES);
  int64_t count = 0;
  for (std::string name; std::getline(files, name, ':');) {
    std::ifstream file(name);
    for (std::string line; std::getline(file, line);) {
      count += line.find(" launch(") != std::string::npos;
    }
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;
  const basin::emulator::Statistics done = basin::emulator::statistics();
  const int64_t kernels = launches_in_source();
  std::printf(
      "emulated: %lld of %lld kernels, %lld cases, %zu schedules; %lld launches, %.1f M "
      "threads\n",
      static_cast<long long>(done.launch_sites), static_cast<long long>(kernels),
      static_cast<long long>(basin::test::case_count), basin::test::kernel_schedules().size(),
      static_cast<long long>(done.launches), static_cast<double>(done.threads) / 1e6);
  const bool all_cases = argc == 1;
  if (all_cases && done.launch_sites != kernels) {
    std::printf("emulated: some kernels have no case\n");
    return 1;
  }
  return result;
}
