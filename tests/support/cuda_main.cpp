// The main function of the kernel cases on a GPU. Without one it says how many cases it skips.
//
//   cuda_kernels [--without-guards] [doctest's options]
//
// --without-guards: buffers on the GPU end where their numbers end, so that
// `compute-sanitizer --tool memcheck` finds every access outside of them.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "tests/support/kernel_case.h"

namespace {

// As doctest's reporter counts them.
struct Counter : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  static inline unsigned cases = 0;
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override { ++cases; }
};
REGISTER_LISTENER("counter", 1, Counter);

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> arguments;
  bool without_guards = false;
  for (int i = 0; i < argc; ++i) {
    if (std::strcmp(argv[i], "--without-guards") == 0) {
      without_guards = true;
    } else {
      arguments.push_back(argv[i]);
    }
  }
  doctest::Context context(static_cast<int>(arguments.size()), arguments.data());
  std::string why_none;
  if (basin::cuda::device_count(&why_none) == 0) {
    context.setOption("test-case-exclude", "*");  // listed, and counted, and not run
    const int result = context.run();
    if (context.shouldExit()) return result;
    std::printf("SKIPPED: %u test cases, which need a GPU: %s\n", Counter::cases, why_none.c_str());
    return result;
  }
  try {
    basin::cuda::require_usable();
    const basin::cuda::DeviceInfo info = basin::cuda::describe();
    basin::test::gpu_runs =
        std::make_unique<basin::test::GpuRuns>(basin::test::GuardedBytes::kGuard);
    basin::test::gpu_runs->without_guards = without_guards;
    const int result = context.run();
    if (context.shouldExit()) return result;
    std::printf("%s: %lld cases, %lld runs%s\n", info.name.c_str(),
                static_cast<long long>(basin::test::case_count),
                static_cast<long long>(basin::test::gpu_runs->runs),
                without_guards ? ", without guards" : "");
    basin::test::gpu_runs.reset();
    return result;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cuda_kernels: %s\n", error.what());
    return 1;
  }
}
