// Log, progress and signals.
#include "experiments/program/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>

#include "data/sources/registry.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

volatile std::sig_atomic_t interruption = 0;

extern "C" void on_signal(int signal) {
  // Who presses Ctrl-C again does not want to wait. SIGTERM comes twice where it is sent to a
  // group, and passed on by a script in it.
  if (interruption && signal == SIGINT) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  interruption = 1;
}

}  // namespace

void catch_interruption() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interruption_requested() {
  return interruption != 0;
}

void check_interruption() {
  if (interruption_requested()) throw Interrupted();
}

Log::~Log() {
  close_file();
}

void Log::open_file(const std::filesystem::path& path) {
  close_file();
  file_ = std::fopen(path.c_str(), "a");
  BASIN_CHECK(file_, path.string(), ": cannot open the log for writing");
}

void Log::close_file() {
  if (file_) std::fclose(file_);
  file_ = nullptr;
}

void Log::clear_line() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

void Log::message(const std::string& text) {
  clear_line();
  const std::string line =
      fmt::format("{:%H:%M:%S} {}\n", fmt::localtime(std::time(nullptr)), text);
  std::fputs(line.c_str(), stderr);
  if (file_) {
    std::fputs(line.c_str(), file_);
    std::fflush(file_);
  }
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

Progress::Progress(Log& log, double total)
    : log_(log),
      total_(total),
      task_end_(total),
      start_(std::chrono::steady_clock::now()),
      last_print_(start_) {}

void Progress::begin_task(const std::string& title, double weight, double units) {
  title_ = title;
  scale_ = units > 0 ? weight / units : 0;
  task_end_ = done_ + weight;
}

void Progress::skip_task() {
  skipped_ += task_end_ - done_;
  done_ = task_end_;
}

void Progress::end_task() {
  done_ = task_end_;
  print(false);
}

void Progress::advance(double amount) {
  done_ = std::min(task_end_, done_ + scale_ * amount);
  print(false);
}

void Progress::skip(double amount) {
  const double before = done_;
  done_ = std::min(task_end_, done_ + scale_ * amount);
  skipped_ += done_ - before;
}

double Progress::seconds_left() const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double worked = done_ - skipped_;
  if (worked <= 0 || seconds < 1) return -1;
  return std::max(0.0, (total_ - done_) * seconds / worked);
}

bool Progress::due() const {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - last_print_;
  return since.count() >= (isatty(STDERR_FILENO) ? 0.25 : 30.0);
}

void Progress::print(bool force) {
  if (!force && !due()) return;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  last_print_ = std::chrono::steady_clock::now();
  const double left = seconds_left();
  const std::string text =
      fmt::format("{:3.0f} % {}{}", total_ > 0 ? 100 * std::min(1.0, done_ / total_) : 100.0,
                  title_, left < 0 ? "" : fmt::format(", about {} left", duration_text(left)));
  if (terminal) {
    log_.clear_line();
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
    log_.line_open_ = true;
  } else {
    log_.message(text);
  }
}

void Progress::finish() {
  log_.clear_line();
}

std::string default_plan_file() {
  namespace fs = std::filesystem;
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  fs::path folder;
  if (cache && fs::path(cache).is_absolute()) {
    folder = cache;
  } else if (home && *home) {
    folder = fs::path(home) / ".cache";
  } else {
    return "";
  }
  return (folder / "basin" / "convolutions.plan").string();
}

data::DataSplits Session::load(const data::DataOptions& options) {
  for (const auto& [known, splits] : loaded) {
    if (known == options) return splits;
  }
  loaded.emplace_back(options, data::load_data(options));
  return loaded.back().second;
}

}  // namespace basin
