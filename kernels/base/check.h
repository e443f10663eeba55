// Errors: every contract of the engine is a BASIN_CHECK whose message names the values and the
// remedy.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace basin {

// What every part of Basin throws. The message is for the user: file, value, remedy.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Joins the arguments as `<<` prints them.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace basin

// Throws basin::Error with the remaining arguments joined when `condition` is false.
#define BASIN_CHECK(condition, ...)                                       \
  do {                                                                    \
    if (!(condition)) throw ::basin::Error(::basin::concat(__VA_ARGS__)); \
  } while (false)
