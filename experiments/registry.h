// The experiments of the paper: one row each. A new experiment is a folder and a row.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace basin::report {
struct Results;
class Section;
}  // namespace basin::report

namespace basin {

struct Experiment {
  const char* name;     // of --only, of its folders, and of its section
  const char* heading;  // of its section in the report
  void (*write_section)(report::Results&, report::Section&);
};

// In the paper's order; the first is number 1, in the report and in docs/experiments.md.
std::span<const Experiment> experiments();

std::vector<std::string> experiment_names();

}  // namespace basin
