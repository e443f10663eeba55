// The experiments of the paper: one row each. A new experiment is a folder and a row.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace basin::report {
struct Results;
class Section;
}  // namespace basin::report

namespace basin {

class PaperPlan;
struct Command;

struct Experiment {
  const char* name;     // of its command, of --only, of its folders, and of its section
  const char* heading;  // of its section in the report
  std::size_t turn;     // among a target's tasks in the plan; experiments of one turn alternate
  void (*add_to_plan)(PaperPlan&);
  void (*write_section)(report::Results&, report::Section&);
  Command (*command)();  // null: it is `paper --only <name>`
};

// In the paper's order; the first is number 1, in the report and in docs/experiments.md.
std::span<const Experiment> experiments();

std::vector<std::string> experiment_names();

}  // namespace basin
