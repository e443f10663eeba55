// All commands of the program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "experiments/program/command.h"

namespace basin {

// By name, in the order of --help.
std::vector<std::pair<std::string, Command>> all_commands();

}  // namespace basin
