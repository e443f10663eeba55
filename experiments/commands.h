// The subcommands of the program: options in, work done, result printed.
#pragma once

#include <functional>
#include <string>

#include "data/dataset.h"
#include "experiments/session.h"

namespace CLI {
class App;
}

namespace basin {

// Options of all commands.
struct CommonOptions {
  int threads = 1;
  bool json = false;
};

// Each adds one subcommand to `app`; when the user names it, `command` is set to what it does. The
// options it fills live as long as `command`.
using AddCommand = void(CLI::App& app, const CommonOptions& common, Session& session,
                        std::function<void()>& command);
AddCommand add_train_command, add_eval_command, add_distance_command, add_data_command,
    add_report_command, add_paper_command, add_bench_command;
// commands_sweeps.cpp
AddCommand add_interpolate_command, add_rewind_command, add_criticality_command, add_extent_command;

// The options that name test images, and the network of a checkpoint that does not say it.
void add_test_data(CLI::App* sub, data::DataOptions& data);
void add_model(CLI::App* sub, std::string& model);

}  // namespace basin
