// Files through POSIX calls: the C++ streams know neither fsync nor why a write failed.
#include "engine/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "kernels/base/check.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

// The reason in words, and what to do about it where that is known.
std::string reason(int error) {
  const std::string text = std::generic_category().message(error);
  switch (error) {
    case ENOSPC:
      return text + ": the disk is full; free some space or choose another folder";
    case EDQUOT:
      return text + ": the disk quota is used up; free some space or choose another folder";
    case EACCES:
    case EPERM:
      return text + ": check the permissions of the file and its folder, or choose another folder";
    case EROFS:
      return text + ": choose a folder on a disk that can be written";
    default:
      return text;
  }
}

[[noreturn]] void fail(const char* action, const fs::path& path, int error) {
  throw Error(concat("cannot ", action, " '", path.string(), "': ", reason(error)));
}

// Makes the rename itself durable.
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("open folder", folder, errno);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some network file systems do not sync folders and say so with EINVAL.
  if (error != 0 && error != EINVAL) fail("sync folder", folder, error);
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) : path_(path), temporary_(path) {
  temporary_ += kSuffix;
  BASIN_CHECK(path.has_filename(), "cannot write '", path.string(), "': no file name in the path");
  while (true) {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      const int error = errno;
      std::error_code ignored;
      if (error == ENOENT && !fs::exists(path.parent_path(), ignored)) {
        throw Error(concat("cannot write '", path.string(), "': the folder does not exist"));
      }
      fail("write", temporary_, error);
    }
    // Some file systems have no locks; there this says so, and the file is written without.
    while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
    }
    struct stat opened = {}, named = {};
    if (::fstat(descriptor_, &opened) != 0) fail("write", temporary_, errno);
    const bool there = ::stat(temporary_.c_str(), &named) == 0;
    if (there && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino) {
      if (S_ISREG(opened.st_mode) && ::ftruncate(descriptor_, 0) != 0) {
        const int error = errno;
        discard();
        fail("write", temporary_, error);
      }
      break;
    }
    ::close(descriptor_);  // another program gave this file its name, or removed it, meanwhile
    descriptor_ = -1;
  }
  lock_ = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::discard() noexcept {
  if (descriptor_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(descriptor_);
  descriptor_ = -1;
  release();
}

void AtomicFile::release() noexcept {
  if (lock_ >= 0) ::close(lock_);
  lock_ = -1;
}

void AtomicFile::write(const void* data, size_t size) {
  BASIN_CHECK(descriptor_ >= 0, "'", path_.string(), "' is closed: write() after commit()");
  const auto* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, next, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      const int error = errno;
      discard();
      fail("write", path_, error);
    }
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  BASIN_CHECK(descriptor_ >= 0, "'", path_.string(), "' is closed: commit() after commit()");
  if (::fsync(descriptor_) != 0) {
    const int error = errno;
    discard();
    fail("write", path_, error);
  }
  // Network file systems may report a full disk only here.
  const int closed = ::close(descriptor_);
  const int close_error = errno;
  descriptor_ = -1;
  if (closed != 0) {
    ::unlink(temporary_.c_str());
    release();
    fail("write", path_, close_error);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    release();
    fail("replace", path_, error);
  }
  release();
  sync_folder(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

std::string read_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("read", path, errno);
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};

  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) fail("read", path, errno);
  BASIN_CHECK(!S_ISDIR(status.st_mode), "cannot read '", path.string(),
              "': it is a folder, not a file");
  // The size is only a first guess: pipes have none, and a file may grow while it is read.
  std::string bytes(static_cast<size_t>(status.st_size) + 1, '\0');
  size_t used = 0;
  while (true) {
    if (used == bytes.size()) bytes.resize(2 * bytes.size());
    const ssize_t count = ::read(descriptor, bytes.data() + used, bytes.size() - used);
    if (count < 0) {
      if (errno == EINTR) continue;
      fail("read", path, errno);
    }
    if (count == 0) break;
    used += static_cast<size_t>(count);
  }
  bytes.resize(used);
  return bytes;
}

void create_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail("create folder", path, error.value());
  BASIN_CHECK(fs::is_directory(path, error), "cannot create folder '", path.string(),
              "': a file of that name exists");
}

}  // namespace basin
