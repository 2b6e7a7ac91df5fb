#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "shumai/content.hpp"

namespace sm::io {

using BodyDigest = std::array<uint64_t, 2>;

// A ticket whose step was taken, as a checkpoint remembers it.
struct FinishedTicket {
  struct Call {
    std::string route;
    BodyDigest body{};
    bool kept = false;  // the answer
    Content answer;
  };
  std::string id;  // 32 hexadecimal digits
  std::vector<Call> calls;
};
using FinishedTickets = std::vector<FinishedTicket>;

}  // namespace sm::io
