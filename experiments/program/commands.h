// The subcommands of the program: options in, work done, result printed.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>
#include "data/dataset.h"
#include "experiments/program/session.h"

namespace CLI {
class App;
}

namespace basin {

// Options of all commands.
struct CommonOptions {
  int threads = 1;
  bool json = false;
};

// Prints a command's result on standard output: `json` with --json, else `text`.
void print(const CommonOptions& common, const nlohmann::ordered_json& json,
           const std::string& text);
// Options that several commands share: which test images, and which model.
void add_test_data(CLI::App* sub, data::DataOptions& data);
void add_model(CLI::App* sub, std::string& model);

// Each adds one subcommand to `app`; when the user names it, `command` is set to what it does. The
// options it fills live as long as `command`.
using AddCommand = void(CLI::App& app, const CommonOptions& common, Session& session,
                        std::function<void()>& command);
AddCommand add_train_command, add_eval_command, add_data_command, add_report_command,
    add_paper_commands, add_bench_command;
// Comparisons of networks, in commands_networks.cpp.
AddCommand add_distance_command, add_cka_command, add_mistakes_command, add_spectrum_command;
// Networks at many weight settings, in commands_sweeps.cpp.
AddCommand add_interpolate_command, add_rewind_command, add_criticality_command, add_extent_command;

}  // namespace basin
