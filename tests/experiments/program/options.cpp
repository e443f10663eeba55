// Options: every command's on the command line, in its help, and in config.json and back.
#include "experiments/program/options.h"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <set>

#include "experiments/program/commands.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

// Another value than the option has, as text.
std::string other_value(const Option& option) {
  if (std::holds_alternative<bool*>(option.value))
    return option.text() == "true" ? "false" : "true";
  if (!option.allowed.names.empty()) {
    const auto& names = option.allowed.names;
    return names.front() == option.text() ? names.back() : names.front();
  }
  if (std::holds_alternative<std::array<double, 2>*>(option.value)) return "-0.25,7";
  if (std::holds_alternative<std::vector<int64_t>*>(option.value)) return "3,1,4";
  if (std::holds_alternative<std::vector<std::string>*>(option.value)) return "one,two=2";
  if (std::holds_alternative<double*>(option.value) ||
      std::holds_alternative<std::optional<double>*>(option.value)) {
    return option.text() == "0.625" ? "0.5" : "0.625";
  }
  return option.text() == "17" ? "18" : "17";
}

Settings other_settings(const Options& options) {
  Settings settings;
  for (const Option& option : options) {
    if (option.is_recorded) settings.emplace_back(option.key(), other_value(option));
  }
  return settings;
}

}  // namespace

TEST_CASE("options: of every command, unique names, all in its help with their defaults") {
  std::set<std::string> commands;
  for (const auto& [name, command] : all_commands()) {
    CAPTURE(name);
    CHECK(commands.insert(name).second);
    CLI::App app;
    add_command(app, name, command, [] {});
    const std::string help = app.get_subcommand(name)->help();
    CHECK(contains(help, command.help));
    std::set<std::string> keys;
    for (const Option& option : command.options) {
      CAPTURE(option.name());
      CHECK(keys.insert(option.key()).second);
      CHECK(contains(help, option.help.substr(0, option.help.find('\n'))));
      const size_t line = help.find("\n  " + option.name() + " ");
      REQUIRE(line != std::string::npos);
      const std::string shown = help.substr(line + 1, help.find('\n', line + 1) - line);
      if (option.is_required) {
        CHECK(contains(shown, "REQUIRED"));
      } else if (!std::holds_alternative<bool*>(option.value) && !option.text().empty()) {
        CHECK(contains(shown, "=" + option.text()));
      }
    }
  }
}

TEST_CASE("options: of every command, config.json and the command line give the same values") {
  const auto first = all_commands(), second = all_commands(), third = all_commands();
  for (size_t i = 0; i < first.size(); ++i) {
    CAPTURE(first[i].first);
    const Options &read = first[i].second.options, &parsed = second[i].second.options;
    const Settings wanted = other_settings(read), before = settings_of(read);
    set_options(read, {wanted.begin(), wanted.end()}, "config.json");
    CHECK(settings_of(read) == wanted);
    // What `before` does not record has no value, and stays as it is.
    set_options(read, {before.begin(), before.end()}, "config.json");
    for (const auto& setting : before) {
      const Settings now = settings_of(read);
      CHECK(std::find(now.begin(), now.end(), setting) != now.end());
    }

    CLI::App app;
    add_options(app, parsed);
    std::vector<std::string> arguments;  // backwards, as CLI11 takes them
    for (const Option& option : parsed) {
      const std::string value = other_value(option);
      if (std::holds_alternative<bool*>(option.value)) {
        arguments.push_back(option.name());
      } else if (option.name().starts_with("-")) {
        arguments.insert(arguments.end(), {value, option.name()});
      }
    }
    for (const Option& option : parsed) {
      if (!option.name().starts_with("-")) arguments.insert(arguments.begin(), other_value(option));
    }
    CHECK_NOTHROW(app.parse(arguments));
    CHECK(settings_of(parsed) == wanted);
    check_options(parsed);
    CHECK(settings_of(third[i].second.options) == before);  // each list has values of its own
  }
}

TEST_CASE(
    "options: a value that is not allowed is refused by the library and by the command line") {
  int64_t count = 3;
  double factor = 0.5;
  std::string kind = "a";
  std::vector<int64_t> epochs = {0, 2};
  const Options options = {Option("--count", &count, "", at_least(2)),
                           Option("--factor", &factor, "", above(0)),
                           Option("--kind", &kind, "", one_of({"a", "b"})).required(),
                           Option("--epochs", &epochs, "", between(0, 5))};
  check_options(options);
  auto refused = [&](auto& value, auto wrong, const std::string& text, const std::string& message) {
    const auto good = value;
    value = wrong;
    CHECK(contains(error_of([&] { check_options(options); }), message));
    value = good;
    check_options(options);
    CLI::App app;
    add_options(app, options);
    const std::string name = message.substr(0, message.find(' '));
    std::string error;
    try {
      app.parse(std::vector<std::string>{"a", "--kind", text, name});
    } catch (const CLI::ParseError& refusal) {
      error = refusal.what();
    }
    if (text.empty()) return;
    CHECK(contains(error, message.substr(message.find(' '))));
  };
  refused(count, 1, "1", "--count must be at least 2, got 1");
  refused(factor, 0.0, "0", "--factor must be above 0, got 0");
  refused(factor, std::nan(""), "nan", "--factor must be above 0, got nan");
  refused(kind, std::string("c"), "", "--kind must be a or b, got c");
  refused(kind, std::string(), "", "--kind is missing");
  refused(epochs, std::vector<int64_t>{1, 6}, "1,6", "--epochs must be at most 5, got 6");
  CHECK(contains(error_of([&] { options[0].set("3x", "config.json"); }),
                 "config.json: count cannot be '3x'"));
}
