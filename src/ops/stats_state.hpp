#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "shumai/stats.hpp"

namespace sm::detail {

struct StatsState {
  mutable std::mutex mutex;
  std::map<std::string, Stats::Entry, std::less<>> operations;
  std::optional<Stats::Period> period;

  void add(std::string_view operation, const Stats::Entry& entry);
  // The same for one that just ended, having begun at `begin`.
  void add_run(std::string_view operation, const Stats::Entry& entry, std::chrono::system_clock::time_point begin);
};

// What counts the operations of this thread now, or null.
std::shared_ptr<StatsState> collector_of_thread();

}  // namespace sm::detail
