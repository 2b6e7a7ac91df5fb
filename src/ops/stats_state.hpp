#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "shumai/stats.hpp"

namespace sm::detail {

struct StatsState {
  mutable std::mutex mutex;
  std::map<std::string, Stats::Entry, std::less<>> operations;

  void add(std::string_view operation, const Stats::Entry& entry);
};

// What counts the operations of this thread now, or null.
std::shared_ptr<StatsState> collector_of_thread();

}  // namespace sm::detail
