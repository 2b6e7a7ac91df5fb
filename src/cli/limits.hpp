#pragma once

#include <string>
#include <vector>

#include "shumai/serve_options.hpp"

namespace sm::cli {

// Sets one limit from "max_body_bytes=1000000" or "ticket_lifetime=60s"; times
// are ms, s, min or h, sizes may end in KiB, MiB or GiB. Throws UsageError.
void set_limit(io::ServeLimits& limits, const std::string& assignment);

std::vector<std::string> limit_names();

}  // namespace sm::cli
