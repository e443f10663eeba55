// Every planted fault is found by the builds that can find it, and correct kernels are not accused.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <sstream>
#include <string>

#include "tests/kernels/emulator/schedules.h"
#include "tests/support/errors.h"

using namespace basin::test;

namespace {

// What `planted_faults` prints.
std::string output_of(const std::string& argument) {
  const std::string command = std::string(BASIN_PLANTED_FAULTS) + " " + argument + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe);
  std::string text;
  std::array<char, 4096> part;
  for (size_t size; (size = fread(part.data(), 1, part.size(), pipe)) > 0;) {
    text.append(part.data(), size);
  }
  REQUIRE(pclose(pipe) != -1);
  return text;
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

const int kSchedules = static_cast<int>(schedules().size());

}  // namespace

TEST_CASE("every planted fault is found, and where; kernels that only look faulty are silent") {
  std::string silent;
  for (const Schedule& schedule : schedules()) silent += schedule.name + ": \n";
  int faults = 0, correct = 0;
  std::istringstream list(output_of("--list"));
  for (std::string name, wanted; std::getline(list, name, '\t') && std::getline(list, wanted);) {
    const std::string text = output_of(name);
    if (wanted.empty()) {
      CHECK_MESSAGE(text == silent, name, ":\n", text);
      ++correct;
      continue;
    }
    CHECK_MESSAGE(contains(text, wanted), name, ": expected '", wanted, "' in\n", text);
    ++faults;
    // The emulator finds its faults in every schedule, and names the line of the launch.
    if (contains(text, ": error: ")) {
      CHECK_MESSAGE(occurrences(text, ": error: ") == kSchedules, name, ":\n", text);
      CHECK_MESSAGE(
          occurrences(text, "kernel launched at emulator/planted_faults.cpp:") == kSchedules, name,
          ":\n", text);
    }
    if (contains(text, "Sanitizer: ")) {
      CHECK_MESSAGE(contains(text, "planted_faults.cpp:"), name, ": no line in\n", text);
    }
  }
  MESSAGE("planted faults that this build must find: ", faults);
  CHECK(faults >= 25);
  CHECK(correct >= 10);
}

TEST_CASE("reports name both lines") {
  const std::string branches = output_of("barriers_in_branches");
  CHECK_MESSAGE(occurrences(branches, "waits at emulator/planted_faults.cpp:") == 2 * kSchedules,
                branches);
  const std::string lanes = output_of("lanes_with_different_masks");
  CHECK_MESSAGE(contains(lanes, "with mask 0xFFFFFFFF"), lanes);
  CHECK_MESSAGE(contains(lanes, "with mask 0xFFFFFFFE"), lanes);
}
