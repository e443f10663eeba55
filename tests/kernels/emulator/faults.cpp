// Every planted fault is found in the builds that can find it, and what is right is left in peace.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tests/kernels/emulator/schedules.h"
#include "tests/support/errors.h"

using namespace basin::test;

namespace {

#if defined(__SANITIZE_ADDRESS__)
enum { kThisBuild = 1 };
#elif defined(__SANITIZE_THREAD__)
enum { kThisBuild = 2 };
#else
enum { kThisBuild = 0 };
#endif

// Part of what is printed when the fault is found: by a plain build, under AddressSanitizer and
// UndefinedBehaviorSanitizer, under ThreadSanitizer. kNothing: not this build's to find.
struct Expectation {
  const char* name;
  std::array<const char*, 3> found;
};
constexpr const char* kNothing = nullptr;

// What the emulator itself finds, it finds in every build.
constexpr Expectation always(const char* name, const char* text) {
  return {name, {text, text, text}};
}
constexpr Expectation under_asan(const char* name, const char* text) {
  return {name, {kNothing, text, kNothing}};
}
constexpr Expectation race(const char* name) {
  return {name, {kNothing, kNothing, "ThreadSanitizer: data race"}};
}

const Expectation kFaults[] = {
    always("block_too_large", "a block of 32x33x1 threads; CUDA allows 1024"),
    always("block_too_deep", "a block of 1x1x65 threads; CUDA allows 1024 threads, and 64 along z"),
    always("block_empty", "a block of 1x0x1 threads is empty"),
    always("grid_empty", "a grid of 0x1x1 blocks is empty"),
    always("grid_too_high", "a grid of 1x65536x1 blocks; CUDA allows"),
    always("dynamic_too_large", "232449 bytes of dynamic shared memory; a block has 232448"),
    always("static_too_large", "exceed 48 KiB; take BASIN_DYNAMIC_SHARED (large)"),
    always("statics_too_large", "exceed 48 KiB; take BASIN_DYNAMIC_SHARED (second)"),
    always("shared_too_large", "more than 227 KiB of shared memory (large)"),
    always("dynamic_not_asked", "dynamic shared memory that its launch did not ask for"),
    always("barriers_in_branches", "threads of one block wait at different barriers"),
    always("different_trip_counts", "has ended"),
    always("barrier_kinds_differ", "threads of one block wait at different barriers"),
    always("return_before_barrier", "has ended"),
    always("lane_not_in_mask", "a lane is not in its own mask"),
    always("lanes_at_different_lines", "lanes that one mask names wait at different operations"),
    always("lanes_with_different_masks", "lanes come to one warp operation with different masks"),
    always("warp_waits_for_barrier", "a warp operation waits for a lane that waits at a barrier"),
    always("reduction_in_a_branch", "has ended"),
    always("shuffle_from_absent_lane", "wrong values"),
    always("failed_check", "a check in the kernel failed (size <= 10)"),
    {"write_behind_shared",
     {"written behind the end of a variable in shared memory (values)", "use-after-poison",
      "written behind the end"}},
    {"read_behind_shared", {"wrong values", "use-after-poison", "wrong values"}},
    {"write_behind_dynamic",
     {"written behind the end of a variable in shared memory (dynamic shared memory)",
      "use-after-poison", "written behind the end"}},
    under_asan("write_behind_global", "heap-buffer-overflow"),
    under_asan("read_behind_global", "heap-buffer-overflow"),
    under_asan("read_freed", "heap-use-after-free"),
    under_asan("write_behind_local", "runtime error: "),
    under_asan("misaligned_vector", "misaligned address"),
    under_asan("shift_too_far", "shift exponent 32 is too large"),
    under_asan("float_too_large", "outside the range of representable values"),
    always("read_unwritten", "wrong values"),
    always("order_of_a_sum", "the schedules differ"),
    race("missing_barrier_before_read"),
    race("missing_barrier_before_write"),
    race("missing_syncwarp"),
    race("shuffle_as_fence"),
    race("halves_read_across"),
    race("race_in_global_memory"),
    race("blocks_write_one_place"),
    race("rows_write_one_place"),
    race("plain_and_atomic"),
    race("missing_threadfence"),
    race("missing_second_threadfence"),
    race("threadfence_of_block_only"),
    race("missing_threadfence_block"),
};

// What `planted_faults` prints.
std::string output_of(const std::string& name) {
  const std::string command = std::string(BASIN_PLANTED_FAULTS) + " " + name + " 2>&1";
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

int lines_with(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

std::vector<std::string> names(const std::string& prefix, bool with) {
  std::vector<std::string> found;
  std::string line;
  for (char c : output_of("--list")) {
    if (c != '\n') {
      line += c;
      continue;
    }
    if (line.starts_with(prefix) == with) found.push_back(line);
    line.clear();
  }
  return found;
}

}  // namespace

TEST_CASE("every planted fault is found, and where") {
  int found = 0;
  for (const Expectation& fault : kFaults) {
    const char* const text_of_fault = fault.found[kThisBuild];
    if (text_of_fault == kNothing) continue;
    const std::string wanted = text_of_fault;
    const std::string text = output_of(fault.name);
    CHECK_MESSAGE(contains(text, wanted), std::string(fault.name), ": expected '", wanted, "' in\n",
                  text);
    ++found;
    // The emulator finds its faults in every schedule, and names the line of the launch.
    if (contains(text, ": error: ")) {
      const auto schedule_count = static_cast<int>(schedules().size());
      CHECK_MESSAGE(lines_with(text, ": error: ") == schedule_count, std::string(fault.name), ":\n",
                    text);
      CHECK_MESSAGE(
          lines_with(text, "kernel launched at emulator/planted_faults.cpp:") == schedule_count,
          fault.name, ":\n", text);
    }
    if (contains(text, "Sanitizer: ")) {
      CHECK_MESSAGE(contains(text, "planted_faults.cpp:"), std::string(fault.name),
                    ": no line in\n", text);
    }
  }
  MESSAGE("planted faults: ", std::size(kFaults), "; this build's to find: ", found);
}

TEST_CASE("the list of planted faults is complete") {
  const std::vector<std::string> planted = names("right_", false);
  CHECK(planted.size() == std::size(kFaults));
  std::map<std::string, int> expected;
  for (const Expectation& fault : kFaults) ++expected[fault.name];
  for (const std::string& name : planted) CHECK_MESSAGE(expected[name] == 1, name);
}

TEST_CASE("reports name both lines") {
  const std::string branches = output_of("barriers_in_branches");
  CHECK_MESSAGE(lines_with(branches, "waits at emulator/planted_faults.cpp:") ==
                    2 * static_cast<int>(schedules().size()),
                branches);
  const std::string lanes = output_of("lanes_with_different_masks");
  CHECK_MESSAGE(contains(lanes, "with mask 0xFFFFFFFF"), lanes);
  CHECK_MESSAGE(contains(lanes, "with mask 0xFFFFFFFE"), lanes);
}

TEST_CASE("kernels that only look faulty are silent") {
  const std::vector<std::string> right = names("right_", true);
  CHECK(right.size() >= 10);
  for (const std::string& name : right) {
    std::string want;
    for (const Schedule& schedule : schedules()) want += schedule.name + ": \n";
    const std::string text = output_of(name);
    CHECK_MESSAGE(text == want, name, ":\n", text);
  }
}
