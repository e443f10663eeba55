// Options of commands. Each is described once; the command line, --config files, config.json and
// the comparison on resume follow from the description.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data/dataset.h"

namespace basin {

// What config.json records, spelt as on the command line: {"lr", "0.1"}.
using Settings = std::vector<std::pair<std::string, std::string>>;

// Which values an option takes, or each value of a list. The default takes all.
struct Allowed {
  std::vector<std::string> names = {};  // where not empty, only these
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;  // `least` itself is not allowed

  std::string description() const;  // "INT" becomes "INT" + description() in --help
  // What is wrong with a value: "must be at least 1, got 0"; empty: nothing.
  std::string objection(const std::string& value) const;
};
Allowed at_least(double least);
Allowed above(double bound);
Allowed between(double least, double most);
Allowed one_of(std::vector<std::string> names);

class Option {
 public:
  // A bool is a flag. Values of a list are separated by commas.
  using Value =
      std::variant<bool*, int64_t*, uint64_t*, double*, std::string*, std::filesystem::path*,
                   std::optional<uint64_t>*, std::optional<double>*, std::array<double, 2>*,
                   std::vector<int64_t>*, std::vector<std::string>*>;

  // `name`: with dashes ("--epochs"), or without them where the place says which it is ("a").
  Option(std::string name, Value value, std::string help, Allowed allowed = {});
  Option required() &&;         // it must be given, and not be empty
  Option not_recorded() &&;     // not in config.json: results do not depend on it
  Option recorded_if_set() &&;  // in config.json only where it has a value

  const std::string& name() const { return name_; }
  std::string key() const;   // in files: the name without dashes
  std::string text() const;  // the value as the command line spells it
  void set(const std::string& text, const std::string& source) const;  // the inverse

  Value value;
  std::string help;
  Allowed allowed;
  bool is_required = false, is_recorded = true, is_recorded_empty = true;

 private:
  std::string name_;
};

// All options of a command, in the order of --help and config.json. They point to a struct of
// values, which must outlive the list.
using Options = std::vector<Option>;
Options operator+(Options a, const Options& b);

// Options that several commands share.
Option model_option(std::string& model);
Option out_option(std::filesystem::path& out);
Options test_data_options(data::DataOptions& data);
// With the choice of training images.
Options all_data_options(data::DataOptions& data);

// Throws Error naming an option that is missing, or has a value that is not allowed.
void check_options(const Options& options);

// What config.json records of the options.
Settings settings_of(const Options& options);
// Sets the options that `settings` has; it may have others. `source`: named in errors.
void set_options(const Options& options, const std::map<std::string, std::string>& settings,
                 const std::string& source);

}  // namespace basin
