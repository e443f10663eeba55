// Values of options as text, and back.
#include "experiments/program/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

#include "data/sources/registry.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

// Text of one value; numbers as the shortest text that reads back as the same number.
std::string option_text(bool value) {
  return value ? "true" : "false";
}
std::string option_text(int64_t value) {
  return std::to_string(value);
}
std::string option_text(uint64_t value) {
  return std::to_string(value);
}
std::string option_text(double value) {
  return fmt::format("{}", value);
}
std::string option_text(const std::string& value) {
  return value;
}
std::string option_text(const std::filesystem::path& value) {
  return value.string();
}
template <class T>
std::string option_text(const std::optional<T>& value) {
  return value ? option_text(*value) : std::string();
}
template <class List>
std::string option_text(const List& list) {
  std::string text;
  for (const auto& value : list) text += (text.empty() ? "" : ",") + option_text(value);
  return text;
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; !text.empty() && begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Whether `text` is a value, which `value` then is.
template <class T>
bool read_value(const std::string& text, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    value = text == "true";
    return value || text == "false";
  } else if constexpr (std::is_arithmetic_v<T>) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  } else {
    value = text;
    return true;
  }
}
template <class T>
bool read_value(const std::string& text, std::optional<T>& value) {
  value.reset();
  return text.empty() || read_value(text, value.emplace());
}
template <class T>
bool read_value(const std::string& text, std::vector<T>& list) {
  list.clear();
  for (const std::string& part : split_at_commas(text)) {
    if (!read_value(part, list.emplace_back())) return false;
  }
  return true;
}
bool read_value(const std::string& text, std::array<double, 2>& pair) {
  const auto parts = split_at_commas(text);
  return parts.size() == 2 && read_value(parts[0], pair[0]) && read_value(parts[1], pair[1]);
}

}  // namespace

Allowed at_least(double least) {
  return {.least = least};
}
Allowed above(double bound) {
  return {.least = bound, .above_least = true};
}
Allowed between(double least, double most) {
  return {.least = least, .most = most};
}
Allowed one_of(std::vector<std::string> names) {
  return {.names = std::move(names)};
}

std::string Allowed::description() const {
  if (!names.empty()) return fmt::format("{{{}}}", fmt::join(names, ","));
  if (std::isfinite(most)) return fmt::format("{{{}..{}}}", least, most);
  if (above_least) return fmt::format("{{>{}}}", least);
  if (std::isfinite(least)) return fmt::format("{{{}..}}", least);
  return "";
}

std::string Allowed::objection(const std::string& value) const {
  if (!names.empty()) {
    if (std::find(names.begin(), names.end(), value) != names.end()) return "";
    return fmt::format("must be {}, got {}", fmt::join(names, " or "), value);
  }
  if (description().empty()) return "";
  double number = 0;
  if (!read_value(value, number)) return fmt::format("must be a number, got {}", value);
  if (!(number >= least) || (above_least && number == least)) {
    return fmt::format("must be {} {}, got {}", above_least ? "above" : "at least", least, value);
  }
  return number <= most ? "" : fmt::format("must be at most {}, got {}", most, value);
}

Option::Option(std::string name, Value value, std::string help, Allowed allowed)
    : value(value), help(std::move(help)), allowed(std::move(allowed)), name_(std::move(name)) {}

Option Option::required() && {
  is_required = true;
  return std::move(*this);
}
Option Option::not_recorded() && {
  is_recorded = false;
  return std::move(*this);
}
Option Option::recorded_if_set() && {
  is_recorded_empty = false;
  return std::move(*this);
}

std::string Option::key() const {
  return name_.substr(std::min(name_.find_first_not_of('-'), name_.size()));
}

std::string Option::text() const {
  return std::visit([](const auto* target) { return option_text(*target); }, value);
}

void Option::set(const std::string& text, const std::string& source) const {
  const bool valid = std::visit([&](auto* target) { return read_value(text, *target); }, value);
  BASIN_CHECK(valid, source, ": ", key(), " cannot be '", text, "'");
}

Options operator+(Options a, const Options& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Option model_option(std::string& model) {
  return {"--model", &model, "network, where the checkpoint does not say it"};
}

Option out_option(std::filesystem::path& out) {
  return Option("--out", &out, "folder of the result").required().not_recorded();
}

Options all_data_options(data::DataOptions& data) {
  return {Option("--data", &data.spec, data::help()).required(),
          {"--data-dir", &data.data_dir,
           "folder of the Fashion-MNIST files [where Debian installs them]"},
          {"--image-size", &data.image_size, "side of the images in pixels; 0: the set's own"},
          {"--split", &data.split, "training images: all, source, or target (disjoint from source)",
           one_of({"all", "source", "target"})},
          {"--train-size", &data.train_size,
           "training images drawn by the seed, equally from every class; 0: all"},
          {"--test-size", &data.test_size, "test images, equally from every class; 0: all"},
          {"--skip-bad", &data.skip_bad,
           "images in files: leave out unreadable ones, named and counted"}};
}

Options test_data_options(data::DataOptions& data) {
  Options options = all_data_options(data);
  std::erase_if(options, [](const Option& option) {
    return option.name() == "--split" || option.name() == "--train-size";
  });
  return options;
}

void check_options(const Options& options) {
  for (const Option& option : options) {
    const std::string text = option.text();
    BASIN_CHECK(!option.is_required || !text.empty(), option.name(), " is missing");
    const bool is_list = std::holds_alternative<std::vector<int64_t>*>(option.value) ||
                         std::holds_alternative<std::vector<std::string>*>(option.value);
    for (const std::string& part : is_list ? split_at_commas(text) : std::vector{text}) {
      const std::string objection = part.empty() ? "" : option.allowed.objection(part);
      BASIN_CHECK(objection.empty(), option.name(), " ", objection);
    }
  }
}

Settings settings_of(const Options& options) {
  Settings settings;
  for (const Option& option : options) {
    const std::string text = option.text();
    if (!option.is_recorded || (!option.is_recorded_empty && text.empty())) continue;
    settings.emplace_back(option.key(), text);
  }
  return settings;
}

void set_options(const Options& options, const std::map<std::string, std::string>& settings,
                 const std::string& source) {
  for (const Option& option : options) {
    const auto found = settings.find(option.key());
    if (option.is_recorded && found != settings.end()) option.set(found->second, source);
  }
}

}  // namespace basin
