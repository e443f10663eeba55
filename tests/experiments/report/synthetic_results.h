// A results folder with plausible made-up numbers, for the tests of the report.
#pragma once

#include <filesystem>
#include <string>

namespace basin {

// Writes a complete folder: three targets (photo and quickdraw by accuracy, mosaic by AUC), `runs`
// runs of each kind, shuffled runs and earlier checkpoints on the first two, all analyses, one
// sheet.
void write_synthetic_results(const std::filesystem::path& folder, int runs);

// Replaces the content of one file of the folder, making its directories.
void write_text(const std::filesystem::path& path, const std::string& text);
std::string read_text(const std::filesystem::path& path);

}  // namespace basin
