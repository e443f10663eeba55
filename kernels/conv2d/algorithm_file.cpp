// The file of chosen algorithms: reading with checksums, replacing as a whole.
#include "kernels/conv2d/algorithm_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "kernels/base/check.h"

namespace basin {
namespace {

constexpr const char* kFormat = "basin plans, format 1";
constexpr const char* kSeparator = " = ";

// FNV-1a of 32 bits, as 8 hexadecimal digits.
std::string checksum(const std::string& text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  char digits[9];
  std::snprintf(digits, sizeof(digits), "%08x", static_cast<unsigned>(hash));
  return digits;
}

// Holds the lock of a file while it exists; without effect where there can be no lock.
class FileLock {
 public:
  explicit FileLock(const std::string& path)
      : file_(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666)) {
    if (file_ >= 0) flock(file_, LOCK_EX);
  }
  ~FileLock() {
    if (file_ >= 0) close(file_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int file_;
};

// A name for a file beside `path` that no other process uses, here or on another machine.
std::string temporary_name(const std::string& path) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return concat(path, ".", host, ".", getpid());
}

}  // namespace

AlgorithmFile::AlgorithmFile(std::string path) : path_(std::move(path)) {
  read(entries_, true);
}

void AlgorithmFile::read(std::map<std::string, std::string>& entries, bool report) const {
  if (path_.empty()) return;
  std::ifstream file(path_);
  if (!file) {
    if (report && std::filesystem::exists(path_)) {
      std::fprintf(stderr, "basin: warning: cannot read %s; algorithms are chosen again\n",
                   path_.c_str());
    }
    return;
  }
  std::string line;
  std::getline(file, line);
  if (line != kFormat) {
    if (report) {
      std::fprintf(
          stderr,
          "basin: warning: %s does not begin with \"%s\"; algorithms are chosen again, and "
          "the file is replaced\n",
          path_.c_str(), kFormat);
    }
    return;
  }
  for (int number = 2; std::getline(file, line); ++number) {
    const size_t separator = line.find(kSeparator);
    if (line.size() > 9 && separator != std::string::npos && separator > 9 && line[8] == ' ' &&
        line.substr(0, 8) == checksum(line.substr(9))) {
      entries[line.substr(9, separator - 9)] = line.substr(separator + 3);
    } else if (report) {
      std::fprintf(stderr,
                   "basin: warning: %s, line %d is damaged; its algorithm is chosen again\n",
                   path_.c_str(), number);
    }
  }
}

std::string AlgorithmFile::find(const std::string& key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() ? std::string() : at->second;
}

void AlgorithmFile::add(const std::string& key, const std::string& value) {
  BASIN_CHECK(key.find('\n') == std::string::npos && value.find('\n') == std::string::npos &&
                  key.find(kSeparator) == std::string::npos,
              "file of algorithms: key or value with a separator: ", key);
  entries_[key] = value;
  if (path_.empty()) return;
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  const FileLock lock(path_ + ".lock");
  std::map<std::string, std::string> all;
  read(all, false);
  for (const auto& [own_key, own_value] : entries_) all[own_key] = own_value;
  const std::string temporary = temporary_name(path_);
  {
    std::ofstream file(temporary);
    file << kFormat << '\n';
    for (const auto& [each_key, each_value] : all) {
      const std::string line = each_key + kSeparator + each_value;
      file << checksum(line) << ' ' << line << '\n';
    }
    file.flush();
    if (file) {
      std::error_code error;
      std::filesystem::rename(temporary, path_, error);
      if (!error) return;
    }
  }
  std::filesystem::remove(temporary, ignored);
  if (!write_failed_) {
    std::fprintf(stderr,
                 "basin: warning: cannot write %s; algorithms are chosen again in each run\n",
                 path_.c_str());
  }
  write_failed_ = true;
}

}  // namespace basin
