#pragma once

#include <string>
#include <vector>

#include "shumai/json.hpp"

namespace sm::cli {

// What `top` shows of a server's /statistics, line by line. Rates are those
// between `before` and `now`, or since the server's start when `before` is
// null. Entries that a server doesn't tell are left out.
std::vector<std::string> frame(const std::string& url, const Json& now, const Json& before);

}  // namespace sm::cli
