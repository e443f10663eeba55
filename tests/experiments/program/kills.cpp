// The program killed at random moments, again and again: what it ends with is what it would have
// ended with.
#include "kernels/base/random.h"
#include "tests/experiments/program/program_runs.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("program: killed ten times at random moments, a run ends with the same bits") {
  const TemporaryFolder folder;
  const fs::path data = folder.path / "data";
  write_tiny_data(data, 60, 21, 3);
  auto train = [&](const std::string& out, bool resume) {
    return words_of(concat(
        "train --model fixup_resnet8 --width 4 --epochs 60 --mixup 0.5 --batch-size 16 --lr 0.02 "
        "--threads 1 --data idx:",
        data.string(), " --out ", (folder.path / out).string(), resume ? " --resume" : ""));
  };
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(run_program(folder.path, train("whole", false)).code == 0);
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::steady_clock::now() - start)
                         .count();
  RandomStream random(11, RandomPurpose::kNoise);
  int kills = 0;
  for (int i = 0; i < 10; ++i) {
    const Program program(folder.path, train("killed", true));
    // Before the folder is complete, too.
    sleep_milliseconds(i < 3 ? 4 * i : random.below(static_cast<uint32_t>(whole / 8 + 1)));
    program.send(SIGKILL);
    const ProgramResult result = program.wait();
    INFO(result.error);
    CHECK((result.signal == SIGKILL || result.code == 0));
    kills += result.signal == SIGKILL;
  }
  CHECK(kills >= 5);
  const ProgramResult last = run_program(folder.path, train("killed", true));
  INFO(last.error);
  REQUIRE(last.code == 0);
  for (const auto& file : fs::directory_iterator(folder.path / "killed" / "checkpoints")) {
    if (file.path().extension() == AtomicFile::kSuffix) fs::remove(file.path());
  }
  check_same_run(folder.path / "whole", folder.path / "killed");
}
