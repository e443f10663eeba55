// What a command of the program works with: the device, its memory, the log, progress, and
// interruption.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/resident_images.h"
#include "engine/arena.h"
#include "experiments/program/precision.h"
#include "kernels/device/stream.h"

namespace basin {

// Exit codes of the program.
enum ExitCode {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitInterrupted = 75,  // SIGINT or SIGTERM: a checkpoint was written, the same call goes on
};

// Thrown where work stops because of SIGINT or SIGTERM, after what is needed to go on was written.
class Interrupted {};

// From now on SIGINT and SIGTERM only set a flag; SIGINT after either ends the program at once.
void catch_interruption();
bool interruption_requested();
// Throws Interrupted when a signal came.
void check_interruption();

// Messages on standard error, and in a file while one is open.
class Log {
 public:
  ~Log();
  void open_file(const std::filesystem::path& path);  // appends
  void close_file();
  void message(const std::string& text);

 private:
  friend class Progress;
  void clear_line();
  std::FILE* file_ = nullptr;
  bool line_open_ = false;  // a progress line stands on the terminal
};

// Work done of work planned, with the time left at the pace so far. On a terminal one line that is
// rewritten; elsewhere a line now and then.
class Progress {
 public:
  Progress(Log& log, double total);
  // From now on `units` of advance() make up `weight` of the total, never more.
  void begin_task(const std::string& title, double weight, double units);
  void skip_task();  // a former call of the program did it
  void end_task();
  // What is going on, printed before the numbers.
  void set_title(const std::string& title) { title_ = title; }
  // `amount` of `total` more is done.
  void advance(double amount);
  // Whether advance() would print now: for a title that takes work.
  bool due() const;
  // The same for work that a former call of the program did: counts, but not towards the pace.
  void skip(double amount);
  void finish();
  double seconds_left() const;  // negative: not known yet

 private:
  void print(bool force);
  Log& log_;
  double total_, done_ = 0, skipped_ = 0;
  double scale_ = 1;  // of the amounts of advance()
  double task_end_;   // where the running task ends
  std::string title_;
  std::chrono::steady_clock::time_point start_, last_print_;
};

// "3 min 20 s"
std::string duration_text(double seconds);

// Where the program keeps its choice of convolution algorithms unless it is told another place:
// basin/convolutions.plan in the user's folder for caches, $XDG_CACHE_HOME or ~/.cache; empty where
// there is neither.
std::string default_plan_file();

struct Session {
  // Works on `device`, from now on; before anything is made on the stream or the arena.
  void use(Device device, const StreamOptions& options = {}) {
    stream = Stream(device, options);
    arena = StepArena(0, device);
  }
  Stream stream{Device::kCpu};
  StepArena arena;
  Log log;
  std::unique_ptr<Progress>
      progress;  // of the whole command; commands that are one run make their own

  // load_data(), which is asked only once for the same options: the runs of a plan share their
  // data sets.
  data::DataSplits load(const data::DataOptions& options);
  std::vector<std::pair<data::DataOptions, data::DataSplits>> loaded = {};
  bool capture_steps = true;               // training steps as one graph, where the device has such
  Precision precision = Precision::kFp32;  // of all networks
  data::ResidentImages resident = data::ResidentImages();
};

}  // namespace basin
