// Commands on the command line, and the tables they print.
#include "experiments/program/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "engine/files.h"

namespace basin {
namespace {

CLI::Option* add_value(CLI::App& app, const Option& option, bool* flag) {
  return app.add_flag(option.name(), *flag, option.help);
}
CLI::Option* add_value(CLI::App& app, const Option& option, std::array<double, 2>* pair) {
  const std::function<void(const std::vector<double>&)> set = [pair](const auto& values) {
    std::copy(values.begin(), values.end(), pair->begin());
  };
  return app.add_option_function(option.name(), set, option.help)
      ->delimiter(',')
      ->expected(2)
      ->type_name("LOW,HIGH");
}
template <class T>
CLI::Option* add_value(CLI::App& app, const Option& option, std::vector<T>* list) {
  return app.add_option(option.name(), *list, option.help)->delimiter(',');
}
template <class T>
CLI::Option* add_value(CLI::App& app, const Option& option, T* value) {
  return app.add_option(option.name(), *value, option.help);
}

}  // namespace

void add_options(CLI::App& app, const Options& options) {
  for (const Option& option : options) {
    CLI::Option* added =
        std::visit([&](auto* value) { return add_value(app, option, value); }, option.value);
    added->required(option.is_required);
    if (!option.is_required && !std::holds_alternative<bool*>(option.value)) {
      added->default_str(option.text());
    }
    if (option.allowed.description().empty()) continue;
    const Allowed allowed = option.allowed;
    added->check(CLI::Validator([allowed](std::string& text) { return allowed.objection(text); },
                                allowed.description()));
  }
}

void add_command(CLI::App& app, const std::string& name, const Command& command,
                 std::function<void()> chosen) {
  CLI::App* sub = app.add_subcommand(name, command.help);
  add_options(*sub, command.options);
  sub->callback(std::move(chosen));
}

Printed printed(const nlohmann::ordered_json& json, std::string text) {
  return {json.dump(2), std::move(text)};
}

Printed printed_result(const std::filesystem::path& folder) {
  const auto json = nlohmann::ordered_json::parse(read_file(folder / "result.json"));
  return printed(json, fmt::format("{}: {}", folder.string(), json.dump()));
}

Printed printed_result(const std::filesystem::path& folder, const std::string& key,
                       const Printed& rows) {
  auto json = nlohmann::ordered_json::parse(read_file(folder / "result.json"));
  json[key] = nlohmann::ordered_json::parse(rows.json);
  return printed(json, rows.text);
}

Printed printed_rows(const CsvTable& table, const std::vector<PrintedColumn>& columns) {
  auto rows = nlohmann::ordered_json::array();
  std::string text;
  // Words stand at the left of their column, numbers at the right.
  auto append = [&](const PrintedColumn& column, const std::string& cell) {
    const char* separator = &column == columns.data() ? "" : " ";
    text += column.decimals == PrintedColumn::kText
                ? fmt::format("{}{:<{}}", separator, cell, column.width)
                : fmt::format("{}{:>{}}", separator, cell, column.width);
  };
  for (const PrintedColumn& column : columns) append(column, column.heading);
  text += '\n';
  for (size_t i = 0; i < table.row_count(); ++i) {
    nlohmann::ordered_json row;
    for (const PrintedColumn& column : columns) {
      if (column.decimals == PrintedColumn::kText) {
        row[column.name] = table.text(i, column.name);
        append(column, table.text(i, column.name));
        continue;
      }
      const double number = table.number(i, column.name).value_or(std::nan(""));
      if (column.decimals == 0) {
        row[column.name] = static_cast<int64_t>(number);
      } else {
        row[column.name] = number;
      }
      append(column, fmt::format("{:.{}f}", number, column.decimals));
    }
    text += '\n';
    rows.push_back(row);
  }
  return printed(rows, text);
}

Printed printed_table(const CsvTable& table, const std::vector<std::string>& texts) {
  auto rows = nlohmann::ordered_json::array();
  std::string text;
  for (const std::string& column : table.columns()) text += fmt::format("{:<14}", column);
  for (size_t i = 0; i < table.row_count(); ++i) {
    nlohmann::ordered_json row;
    text += '\n';
    for (const std::string& column : table.columns()) {
      text += fmt::format("{:<14.13}", table.text(i, column));
      if (std::find(texts.begin(), texts.end(), column) != texts.end()) {
        row[column] = table.text(i, column);
      } else {
        const auto number = table.number(i, column);
        row[column] = number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json();
      }
    }
    rows.push_back(row);
  }
  return printed(rows, text);
}

}  // namespace basin
