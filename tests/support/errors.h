// The messages of errors, for tests.
#pragma once

#include <string>

#include "kernels/base/check.h"

namespace basin::test {

// The message of the Error that `action` throws; "" when it throws none.
template <class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace basin::test
