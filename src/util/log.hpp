#pragma once

#include <string_view>

namespace sm::util {

// One line to standard error with time and level. Thread-safe. Never pass a
// token or a body.
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

// "trace", "debug", "info", "warn", "error" or "off"; the environment variable
// SHUMAI_LOG sets it at first use. Default: warn.
void set_log_level(std::string_view level);

}  // namespace sm::util
