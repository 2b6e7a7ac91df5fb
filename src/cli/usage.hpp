#pragma once

#include <stdexcept>

namespace sm::cli {

// The command line asks for what can't be: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

}  // namespace sm::cli
