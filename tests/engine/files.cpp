// Atomic writing: the old file survives every failure, no temporary is left behind, and messages
// name the cause.
#include "engine/files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "kernels/base/check.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace fs = std::filesystem;
using basin::AtomicFile;
using basin::read_file;
using basin::write_file_atomically;
using basin::test::contains;
using basin::test::error_of;

namespace {

struct TextFile {
  TemporaryFolder folder;
  const fs::path path = folder.path / "a.txt";
};

int entries(const fs::path& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE_FIXTURE(TextFile, "a written file reads back, also empty, binary and over an old one") {
  for (const std::string& bytes : {std::string("first, a longer text"), std::string(),
                                   std::string("\0\r\n\xff", 4), std::string(3'000'000, 'x')}) {
    write_file_atomically(path, bytes);
    CHECK(read_file(path) == bytes);
    CHECK(entries(folder.path) == 1);
  }
}

TEST_CASE_FIXTURE(TextFile, "the new file appears only at commit") {
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("ne", 2);
    CHECK(fs::exists(folder.path / "a.txt.partial"));
    CHECK(read_file(path) == "old");
    file.write("w", 1);
    CHECK(read_file(path) == "old");
    file.commit();
    CHECK(read_file(path) == "new");
    CHECK_THROWS_AS(file.write("x", 1), basin::Error);
    CHECK_THROWS_AS(file.commit(), basin::Error);
  }
  CHECK(read_file(path) == "new");
  CHECK(entries(folder.path) == 1);
}

TEST_CASE_FIXTURE(TextFile, "an abandoned file leaves the old one and no temporary") {
  write_file_atomically(path, "old");
  { AtomicFile(path).write("new", 3); }
  CHECK(read_file(path) == "old");
  CHECK(entries(folder.path) == 1);
}

TEST_CASE_FIXTURE(TextFile, "a temporary left by a killed program is overwritten") {
  std::ofstream(folder.path / "a.txt.partial") << "half of something much longer";
  write_file_atomically(path, "new");
  CHECK(read_file(path) == "new");
  CHECK(entries(folder.path) == 1);
}

TEST_CASE_FIXTURE(TextFile, "a path without a folder is written in the current one") {
  const fs::path before = fs::current_path();
  fs::current_path(folder.path);
  write_file_atomically("plain.txt", "here");
  fs::current_path(before);
  CHECK(read_file(folder.path / "plain.txt") == "here");
}

TEST_CASE_FIXTURE(
    TextFile, "processes that write one file at the same time leave a whole one, and no error") {
  constexpr int kProcesses = 4, kWrites = 40;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int failures = 0;
      const std::string text(static_cast<size_t>(1000 * (i + 1)), static_cast<char>('a' + i));
      for (int k = 0; k < kWrites; ++k) {
        try {
          write_file_atomically(path, text);
        } catch (const std::exception&) {
          ++failures;
        }
      }
      _exit(failures == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  const std::string text = read_file(path);
  REQUIRE(!text.empty());
  CHECK(text.size() == static_cast<size_t>(1000 * (text[0] - 'a' + 1)));
  CHECK(text == std::string(text.size(), text[0]));
  CHECK(entries(folder.path) == 1);
}

TEST_CASE_FIXTURE(TextFile, "a full disk is named, the old file stays, the temporary goes") {
  write_file_atomically(path, "old");
  // Every write to /dev/full fails as on a full disk.
  fs::create_symlink("/dev/full", folder.path / "a.txt.partial");
  const std::string message = error_of([&] { write_file_atomically(path, "new"); });
  CHECK(contains(message, path.string()));
  CHECK(contains(message, "disk is full"));
  CHECK(read_file(path) == "old");
  CHECK(entries(folder.path) == 1);
}

TEST_CASE_FIXTURE(TextFile, "a folder without write permission is named") {
  const fs::path locked = folder.path / "locked";
  fs::create_directory(locked);
  fs::permissions(folder.path, fs::perms(0755));
  fs::permissions(locked, fs::perms(0555));
  // Root may write anywhere, so act as nobody for a moment.
  const bool root = geteuid() == 0;
  if (root) REQUIRE(seteuid(65534) == 0);
  const std::string message = error_of([&] { write_file_atomically(locked / "a", "new"); });
  const std::string folder_message = error_of([&] { basin::create_folders(locked / "b" / "c"); });
  if (root) REQUIRE(seteuid(0) == 0);
  CHECK(contains(message, (locked / "a").string()));
  CHECK(contains(message, "check the permissions"));
  CHECK(contains(folder_message, "check the permissions"));
  CHECK(entries(locked) == 0);
}

TEST_CASE_FIXTURE(TextFile, "wrong paths are refused with their name and the reason") {
  const fs::path file = folder.path / "file";
  write_file_atomically(file, "x");
  fs::create_directory(folder.path / "sub");

  const fs::path missing = folder.path / "no" / "a";
  std::string message = error_of([&] { write_file_atomically(missing, "x"); });
  CHECK(contains(message, missing.string()));
  CHECK(contains(message, "the folder does not exist"));
  message = error_of([&] { write_file_atomically(folder.path / "sub", "x"); });
  CHECK(contains(message, "cannot replace"));
  CHECK(contains(error_of([&] { write_file_atomically(file / "a", "x"); }), "cannot write"));
  CHECK(contains(error_of([&] { write_file_atomically("", "x"); }), "no file name"));
  CHECK(contains(error_of([&] { read_file(missing); }), missing.string()));
  CHECK(contains(error_of([&] { read_file(folder.path); }), "it is a folder"));
  CHECK(contains(error_of([&] { basin::create_folders(file); }), file.string()));
  CHECK(contains(error_of([&] { basin::create_folders(file / "a"); }), file.string()));
  CHECK(entries(folder.path) == 2);
  CHECK(entries(folder.path / "sub") == 0);
}

TEST_CASE_FIXTURE(TextFile, "folders are created with those above, and again") {
  basin::create_folders(folder.path / "a" / "b" / "c");
  basin::create_folders(folder.path / "a" / "b" / "c");
  CHECK(fs::is_directory(folder.path / "a" / "b" / "c"));
}
