// Whole files: read with clear errors, and written so that a reader sees either the old file or
// the complete new one, also after a crash or a full disk.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace basin {

// A file under construction. The bytes go to `<path>.partial` in the same folder; commit() makes
// them durable and gives them their name in one step. Without commit() the destructor removes the
// temporary. One that a killed program left behind is overwritten by the next write of the same
// path. Programs that write one path at the same time do it one after the other, by a lock on the
// temporary; one program must not. Throws Error.
class AtomicFile {
 public:
  static constexpr std::string_view kSuffix = ".partial";

  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Appends `size` bytes.
  void write(const void* data, size_t size);
  // fsync of the file, rename to `path`, fsync of the folder. Nothing may be written afterwards.
  void commit();

 private:
  void discard() noexcept;
  void release() noexcept;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  int lock_ = -1;  // the same open file: the lock lasts until the file has its name
};

// Replaces the file `path` by `bytes`, as AtomicFile does. The folder must exist. Throws Error.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// All bytes of the file. Throws Error with the path and the reason.
std::string read_file(const std::filesystem::path& path);

// Creates the folder and those above it; one that exists already is fine. Throws Error.
void create_folders(const std::filesystem::path& path);

}  // namespace basin
