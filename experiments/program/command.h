// Commands of the program: a name, options, and what they do.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include "experiments/program/csv.h"
#include "experiments/program/options.h"
#include "experiments/program/session.h"

namespace CLI {
class App;
}

namespace basin {

// What a command prints on standard output: `json` with --json, else `text`.
struct Printed {
  std::string json, text;
};
Printed printed(const nlohmann::ordered_json& json, std::string text);

// result.json of a folder; the second with rows in it under `key`, and the rows' text.
Printed printed_result(const std::filesystem::path& folder);
Printed printed_result(const std::filesystem::path& folder, const std::string& key,
                       const Printed& rows);

// A column of a printed table.
struct PrintedColumn {
  const char* name;     // in the table
  const char* heading;  // in the text
  int width;
  int decimals;  // of a number; kText: text
  static constexpr int kText = -1;
};
// The rows of a table: as a JSON list of objects, and as text.
Printed printed_rows(const CsvTable& table, const std::vector<PrintedColumn>& columns);
// The same with all columns in one format; `texts`: those which are not numbers.
Printed printed_table(const CsvTable& table, const std::vector<std::string>& texts);

struct Command {
  std::string help;
  Options options;  // of values that `run` keeps
  std::function<Printed(Session&)> run;
  bool uses_device = true;
};

// `Values`: a struct with `Options list()`.
template <class Values>
Command make_command(std::string help, Printed (*run)(const Values&, Session&)) {
  auto values = std::make_shared<Values>();
  Options options = values->list();
  return {std::move(help), std::move(options),
          [values, run](Session& session) { return run(*values, session); }};
}

// Adds a subcommand with the options to `app`; `chosen` is called when the user names it.
void add_command(CLI::App& app, const std::string& name, const Command& command,
                 std::function<void()> chosen);
void add_options(CLI::App& app, const Options& options);

}  // namespace basin
