// The folder of a run: configuration, environment, metrics, checkpoints, result, log, DONE.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/program/options.h"
#include "experiments/program/session.h"

namespace basin {

// What is at `folder` for a command with these settings.
enum class RunStatus { kNew, kUnfinished, kDone };

// Looks, and changes nothing. A folder that holds another run, one in another precision than the
// session's, or an unfinished one without `resume`, is an Error that says what to do.
RunStatus run_status(const Session& session, const std::filesystem::path& folder,
                     const std::string& command, const Settings& settings, bool resume);

// The same, and unless the run is done, creates the folder (with checkpoints/ when `checkpoints`),
// config.json, config.toml (for --config) and environment.json, and opens log.txt.
RunStatus open_run_folder(Session& session, const std::filesystem::path& folder,
                          const std::string& command, const Settings& settings, bool resume,
                          bool checkpoints);

// The settings in a folder's config.json. Throws Error when it is missing or not JSON.
std::map<std::string, std::string> read_settings(const std::filesystem::path& folder);

// Writes the DONE marker and closes the log.
void finish_run_folder(Session& session, const std::filesystem::path& folder);
bool is_done(const std::filesystem::path& folder);

// Path of the checkpoint after `epoch` epochs; 0 is before the first update.
std::filesystem::path epoch_checkpoint(const std::filesystem::path& folder, int64_t epoch);
// Epochs whose checkpoint exists, ascending. Throws Error when there is none.
std::vector<int64_t> saved_epochs(const std::filesystem::path& folder);

// Device, CPU, compiler, version, commit: {"device": "...", ...} as JSON text.
std::string environment_json(Device device);
std::string cpu_name();
std::string version_text();
std::string commit_text();

}  // namespace basin
