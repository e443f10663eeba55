// Choices of algorithms kept between runs: a text file of keys and values.
#pragma once

#include <map>
#include <string>

namespace basin {

// One line for each choice, `checksum key = value`, under a line that names the format. The file is
// replaced as a whole, so a reader never sees half of it; processes that add to it at once wait for
// each other at the lock PATH.lock, so that none loses what another adds.
class AlgorithmFile {
 public:
  // Reads the file if there is one; `path` empty: nothing is read or kept. A file of another format
  // or with damaged lines is reported on stderr, by name and line; what can be trusted of it is
  // used.
  explicit AlgorithmFile(std::string path);

  // The value of `key`; empty if there is none.
  std::string find(const std::string& key) const;
  // Adds or replaces one, together with what other processes have added since; makes the file's
  // folder where there is none. A file that cannot be written is reported on stderr, once. Neither
  // text may hold a line break, a key no " = ".
  void add(const std::string& key, const std::string& value);

 private:
  void read(std::map<std::string, std::string>& entries, bool report) const;

  std::string path_;
  std::map<std::string, std::string> entries_;
  bool write_failed_ = false;
};

}  // namespace basin
