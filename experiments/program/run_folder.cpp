// Run folders on disk.
#include "experiments/program/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/program/version.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

#ifdef BASIN_CUDA
constexpr const char* kDevices = "cpu, cuda, emulated";
#else
constexpr const char* kDevices = "cpu, emulated";
#endif

// A run may go on on another device, but not with the same bits.
void note_other_device(Session& session, const fs::path& folder) {
  const fs::path path = folder / "environment.json";
  if (!fs::exists(path)) return;
  const auto json = nlohmann::json::parse(read_file(path), nullptr, false);
  const std::string began = json.is_object() ? json.value("device", "") : "";
  const std::string now = name_of(session.stream.device());
  if (began.empty() || began == now) return;
  session.log.message(
      fmt::format("{} began on device {} and goes on on {}", folder.string(), began, now));
}

std::string config_json(const std::string& command, const Settings& settings, Precision precision) {
  nlohmann::ordered_json json;
  json["command"] = command;
  json["precision"] = name_of(precision);
  for (const auto& [key, value] : settings) json[key] = value;
  return json.dump(2) + "\n";
}

std::string config_toml(const std::string& command, const Settings& settings, Precision precision) {
  std::string text = fmt::format("# basin --config FILE {}\nprecision = \"{}\"\n[{}]\n", command,
                                 name_of(precision), command);
  for (const auto& [key, value] : settings) {
    if (!value.empty()) text += key + " = " + nlohmann::json(value).dump() + "\n";
  }
  return text;
}

// Whether the folder holds nothing but what open_run_folder() writes before config.json: it was
// killed there.
bool holds_at_most_a_beginning(const fs::path& folder) {
  if (!fs::is_directory(folder)) return false;
  for (const auto& file : fs::directory_iterator(folder)) {
    std::string name = file.path().filename().string();
    if (name.ends_with(AtomicFile::kSuffix)) name.resize(name.size() - AtomicFile::kSuffix.size());
    if (name != "environment.json" && name != "config.toml" && name != "config.json") return false;
  }
  return true;
}

}  // namespace

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string version_text() {
  return fmt::format("basin {} ({}; {}; devices: {})", BASIN_VERSION, BASIN_COMMIT, BASIN_BUILD,
                     kDevices);
}

std::string commit_text() {
  return BASIN_COMMIT;
}

std::string environment_json(Device device) {
  nlohmann::ordered_json json;
  json["version"] = BASIN_VERSION;
  json["commit"] = BASIN_COMMIT;
  json["build"] = BASIN_BUILD;
  json["device"] = name_of(device);
  if (device == Device::kCuda) json["gpu"] = describe(device);
  json["cpu"] = cpu_name();
  json["time"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return json.dump(2) + "\n";
}

bool is_done(const fs::path& folder) {
  return fs::exists(folder / "DONE");
}

RunStatus run_status(const Session& session, const fs::path& folder, const std::string& command,
                     const Settings& settings, bool resume) {
  if (!fs::exists(folder / "config.json")) {
    BASIN_CHECK(!fs::exists(folder) || holds_at_most_a_beginning(folder), folder.string(),
                " exists and is not a run folder. Choose another --out");
    return RunStatus::kNew;
  }
  std::map<std::string, std::string> recorded = read_settings(folder);
  const auto precision = recorded.extract("precision");
  std::map<std::string, std::string> wanted(settings.begin(), settings.end());
  wanted["command"] = command;
  BASIN_CHECK(recorded == wanted, folder.string(),
              " holds a run with other settings (see its config.json). Choose another --out, or "
              "remove the folder");
  // Runs from before this setting existed were in fp32.
  const std::string began = precision ? precision.mapped() : name_of(Precision::kFp32);
  BASIN_CHECK(began == name_of(session.precision), folder.string(), " holds a run in ", began,
              ", not in ", name_of(session.precision), ". Add --precision ", began,
              ", or choose another --out");
  if (is_done(folder)) return RunStatus::kDone;
  BASIN_CHECK(resume, folder.string(),
              " holds an unfinished run. Add --resume to go on with it, or remove the folder");
  return RunStatus::kUnfinished;
}

RunStatus open_run_folder(Session& session, const fs::path& folder, const std::string& command,
                          const Settings& settings, bool resume, bool checkpoints) {
  const RunStatus status = run_status(session, folder, command, settings, resume);
  if (status == RunStatus::kDone) return status;
  if (status == RunStatus::kNew) {
    create_folders(folder);
    write_file_atomically(folder / "environment.json", environment_json(session.stream.device()));
    write_file_atomically(folder / "config.toml",
                          config_toml(command, settings, session.precision));
    write_file_atomically(folder / "config.json",
                          config_json(command, settings, session.precision));
  }
  if (checkpoints) create_folders(folder / "checkpoints");
  session.log.open_file(folder / "log.txt");
  if (status == RunStatus::kUnfinished) note_other_device(session, folder);
  return status;
}

std::map<std::string, std::string> read_settings(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  BASIN_CHECK(fs::exists(path), folder.string(),
              " is not the folder of a run: it has no config.json");
  try {
    std::map<std::string, std::string> settings;
    const nlohmann::json json = nlohmann::json::parse(read_file(path));
    for (const auto& [key, value] : json.items()) {
      settings[key] = value.get<std::string>();
    }
    return settings;
  } catch (const nlohmann::json::exception& error) {
    throw Error(concat(path.string(), " is damaged: ", error.what()));
  }
}

void finish_run_folder(Session& session, const fs::path& folder) {
  write_file_atomically(folder / "DONE", "");
  session.log.close_file();
}

fs::path epoch_checkpoint(const fs::path& folder, int64_t epoch) {
  return folder / "checkpoints" / fmt::format("epoch-{:04}.safetensors", epoch);
}

std::vector<int64_t> saved_epochs(const fs::path& folder) {
  std::vector<int64_t> epochs;
  const std::string begin = "epoch-", end = ".safetensors";
  if (fs::is_directory(folder / "checkpoints")) {
    for (const auto& file : fs::directory_iterator(folder / "checkpoints")) {
      const std::string name = file.path().filename().string();
      if (!name.starts_with(begin) || !name.ends_with(end)) continue;
      const std::string digits = name.substr(begin.size(), name.size() - begin.size() - end.size());
      if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) continue;
      epochs.push_back(std::stoll(digits));
    }
  }
  BASIN_CHECK(!epochs.empty(), folder.string(), " has no checkpoints/epoch-*.safetensors");
  std::sort(epochs.begin(), epochs.end());
  return epochs;
}

}  // namespace basin
