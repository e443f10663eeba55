// Reads whole files, plain or gzip, and checks them before anybody looks at the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin::data {

// The contents of the file at `path`; a gzip file (known by its first bytes) is inflated, its
// checksum and length verified. Throws Error naming the file, the defect, and `remedy`.
std::vector<uint8_t> read_file(const std::string& path, const std::string& remedy);

// The lines of the text file at `path` (plain or gzip), without line ends; an empty line at the end
// is left out.
std::vector<std::string> read_lines(const std::string& path, const std::string& remedy);

}  // namespace basin::data
