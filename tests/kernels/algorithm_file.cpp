// The file of chosen algorithms: kept, merged, and used as far as it can be trusted.
#include "kernels/conv2d/algorithm_file.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/base/check.h"
#include "tests/support/temporary_folder.h"

using basin::AlgorithmFile;

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("algorithm file: what was added is found, by others too, and what they added is kept") {
  const TemporaryFolder folder;
  const std::string path = (folder.path / "plans.txt").string();
  AlgorithmFile first(path), second(path);
  CHECK(first.find("a") == "");
  first.add("a", "direct engine 1");
  second.add("b", "scratch engine 2 3:4");
  first.add("a", "direct engine 5");
  const AlgorithmFile third(path);
  CHECK(third.find("a") == "direct engine 5");
  CHECK(third.find("b") == "scratch engine 2 3:4");
  CHECK(third.find("c") == "");
}

TEST_CASE("algorithm file: processes that add at once lose nothing, in a folder that they make") {
  constexpr int kProcesses = 4, kChoices = 25;
  const TemporaryFolder folder;
  const std::string path = (folder.path / "made" / "plans.txt").string();
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      AlgorithmFile file(path);
      for (int choice = 0; choice < kChoices; ++choice) {
        file.add(basin::concat("process ", process, " choice ", choice), "direct engine 1");
      }
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  const AlgorithmFile file(path);
  int found = 0;
  for (int process = 0; process < kProcesses; ++process) {
    for (int choice = 0; choice < kChoices; ++choice) {
      found +=
          file.find(basin::concat("process ", process, " choice ", choice)) == "direct engine 1";
    }
  }
  CHECK(found == kProcesses * kChoices);
  // Nothing but the file and its lock is left.
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path / "made"), {}) == 2);
}

TEST_CASE("algorithm file: a damaged line is left out, and the others are used") {
  const TemporaryFolder folder;
  const std::string path = (folder.path / "plans.txt").string();
  AlgorithmFile file(path);
  for (const char* key : {"a", "b", "c"}) file.add(key, "direct engine 1");
  const std::string whole = read(path);
  // Every byte in turn: whatever it was, what is still found is what was added.
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = damaged[at] == 'x' ? 'y' : 'x';
    std::ofstream(path) << damaged;
    const AlgorithmFile again(path);
    int found = 0;
    for (const char* key : {"a", "b", "c"}) {
      const std::string value = again.find(key);
      CHECK((value == "" || value == "direct engine 1"));
      found += value != "";
    }
    CHECK(found < 3);
  }
  for (size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path) << whole.substr(0, length);
    const AlgorithmFile again(path);
    for (const char* key : {"a", "b", "c"}) {
      const std::string value = again.find(key);
      CHECK((value == "" || value == "direct engine 1"));
    }
  }
}

TEST_CASE("algorithm file: a file of another format is replaced by the next choice") {
  const TemporaryFolder folder;
  const std::string path = (folder.path / "plans.txt").string();
  std::ofstream(path) << "{\"json\": true}\n";
  AlgorithmFile file(path);
  file.add("a", "direct engine 1");
  CHECK(AlgorithmFile(path).find("a") == "direct engine 1");
}

TEST_CASE(
    "algorithm file: without a path, and where nothing can be written, choices hold for the "
    "process") {
  const TemporaryFolder folder;
  std::ofstream(folder.path / "file") << "no folder";
  AlgorithmFile nowhere(""), unwritable((folder.path / "file" / "plans.txt").string());
  for (AlgorithmFile* file : {&nowhere, &unwritable}) {
    file->add("a", "direct engine 1");
    file->add("b", "direct engine 2");
    CHECK(file->find("a") == "direct engine 1");
    CHECK(file->find("b") == "direct engine 2");
  }
}
