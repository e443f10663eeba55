// The whole plan of the smoke preset: every experiment on real images, alone, and in two shares
// that are killed again and again; the numbers are the same.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/program/csv.h"
#include "experiments/program/run_folder.h"
#include "kernels/base/random.h"
#include "tests/experiments/program/program_runs.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

namespace {

namespace fs = std::filesystem;

std::vector<std::string> paper(const fs::path& out, const std::string& shard) {
  return {"paper", "--preset", "smoke", "--out", out.string(), "--threads", "1", "--shard", shard};
}

// All numbers of a results folder by file and place: every table and result.json but for times.
std::map<std::string, std::string> numbers_of(const fs::path& out) {
  const std::set<std::string> times = {"seconds", "images_per_second", "activation_bytes"};
  std::map<std::string, std::string> numbers;
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    const std::string name = fs::relative(entry.path(), out).string();
    if (entry.path().extension() == ".csv") {
      const CsvTable table = CsvTable::read(entry.path());
      for (const std::string& column : table.columns()) {
        if (times.contains(column)) continue;
        for (size_t row = 0; row < table.row_count(); ++row) {
          numbers[name + ":" + column + std::to_string(row)] = table.text(row, column);
        }
      }
    } else if (entry.path().filename() == "result.json") {
      auto json = nlohmann::json::parse(read_file(entry.path()));
      for (const std::string& key : times) json.erase(key);
      for (const char* path : {"a", "b", "run", "from", "to"}) json.erase(path);
      numbers[name] = json.dump();
    }
  }
  return numbers;
}

}  // namespace

TEST_CASE("program: the smoke preset runs every experiment; killed shares end with its numbers") {
  const TemporaryFolder folder;
  const fs::path whole = folder.path / "whole", shared = folder.path / "shared";
  const auto start = std::chrono::steady_clock::now();
  const ProgramResult first = run_program(folder.path, paper(whole, "1/1"));
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::steady_clock::now() - start)
                                .count();
  INFO(first.error);
  REQUIRE(first.code == 0);
  const auto plan = nlohmann::json::parse(read_file(whole / "plan.json"));
  std::set<std::string> experiments;
  for (const auto& run : plan["runs"]) {
    CHECK(is_done(whole / run["path"].get<std::string>()));
    for (const auto& name : run["experiments"]) experiments.insert(name.get<std::string>());
  }
  for (const auto& analysis : plan["analyses"]) {
    CHECK(is_done(whole / analysis["folder"].get<std::string>()));
    experiments.insert(analysis["experiment"].get<std::string>());
  }
  CHECK(experiments.size() == 11);
  const auto mosaic =
      nlohmann::json::parse(read_file(whole / "runs/mosaic-finetune-lr0.01-1/result.json"));
  CHECK(mosaic["best"]["selected_on"] == "validation");
  CHECK(mosaic["final"].contains("test_auc"));
  CHECK(contains(read_file(whole / "report.html"), "</html>"));
  const ProgramResult again = run_program(folder.path, paper(whole, "1/1"));
  CHECK(again.code == 0);
  CHECK(contains(again.error, "all tasks were done before"));

  // Two shares at a time, both killed ten times over before they may finish.
  fs::create_directories(folder.path / "one");
  fs::create_directories(folder.path / "two");
  RandomStream random(12, RandomPurpose::kNoise);
  int kills = 0;
  for (int i = 0; i < 10; ++i) {
    const Program one(folder.path / "one", paper(shared, "1/2"));
    const Program two(folder.path / "two", paper(shared, "2/2"));
    sleep_milliseconds(random.below(static_cast<uint32_t>(milliseconds / 10 + 1)));
    one.send(SIGKILL);
    two.send(SIGKILL);
    kills += one.wait().signal == SIGKILL;
    kills += two.wait().signal == SIGKILL;
  }
  CHECK(kills >= 10);
  const Program one(folder.path / "one", paper(shared, "1/2"));
  const Program two(folder.path / "two", paper(shared, "2/2"));
  const ProgramResult first_share = one.wait(), second_share = two.wait();
  INFO(first_share.error);
  INFO(second_share.error);
  CHECK(first_share.code == 0);
  CHECK(second_share.code == 0);
  const auto expected = numbers_of(whole), found = numbers_of(shared);
  CHECK(expected.size() > 1000);
  CHECK(expected.size() == found.size());
  std::string different;
  for (const auto& [place, number] : expected) {
    const auto other = found.find(place);
    if (other == found.end() || other->second != number) different += place + " ";
  }
  CHECK(different == "");
}
