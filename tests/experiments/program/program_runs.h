// Running the program as its users do.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "engine/files.h"

namespace basin::test {

struct ProgramResult {
  int code = -1;    // of the exit
  int signal = 0;   // that killed it
  std::string out;  // standard output
  std::string error;
};

// A running program whose output goes to files in `folder`.
class Program {
 public:
  Program(const std::filesystem::path& folder, const std::vector<std::string>& arguments)
      : out_(folder / "stdout"), error_(folder / "stderr") {
    std::vector<char*> argv = {const_cast<char*>(BASIN_PROGRAM)};
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.data()));
    argv.push_back(nullptr);
    child_ = fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      const int error = open(error_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      if (dup2(out, 1) >= 0 && dup2(error, 2) >= 0) execv(BASIN_PROGRAM, argv.data());
      _exit(127);
    }
  }
  void send(int signal) const { kill(child_, signal); }
  ProgramResult wait() const {
    int status = 0;
    REQUIRE(waitpid(child_, &status, 0) == child_);
    ProgramResult result;
    if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    result.out = read_file(out_);
    result.error = read_file(error_);
    return result;
  }

 private:
  std::filesystem::path out_, error_;
  pid_t child_ = -1;
};

inline ProgramResult run_program(const std::filesystem::path& folder,
                                 const std::vector<std::string>& arguments) {
  return Program(folder, arguments).wait();
}

// The words between blanks.
inline std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

inline void sleep_milliseconds(int64_t time) {
  std::this_thread::sleep_for(std::chrono::milliseconds(time));
}

}  // namespace basin::test
