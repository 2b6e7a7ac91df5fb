#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "shumai/json.hpp"

namespace sm {

namespace detail {
struct StatsState;
}

// Counts what operations cost, by the name of the operation:
//
//   sm::Stats stats = sm::collect([&] { model(x).backward(); });
//   std::cout << stats.to_json().dump(2);
//
// An operation that is made of others counts with the time that it spends
// beside them, so that totals add up. A copy of a Stats is the same collector.
// Thread-safe.
class Stats {
 public:
  struct Entry {
    uint64_t count = 0;
    uint64_t nanoseconds = 0;
    uint64_t bytes = 0;  // of results, those that share the memory of an input left out
    // Two for each product of a matrix product or a convolution, none for what
    // makes, moves or views elements, else one for each element of the largest tensor.
    double flops = 0;

    Entry& operator+=(const Entry& other);
    bool operator==(const Entry&) const = default;
  };

  // From the start of the first operation to the end of the last.
  struct Period {
    std::chrono::system_clock::time_point begin, end;
  };

  enum class Threads : uint8_t { kThis, kAll };

  // Collects while it lives: what this thread computes, or what every thread
  // does that has no scope of its own. The innermost one counts. A scope of
  // this thread must end on it, and must not be held across an await.
  class Scope {
   public:
    explicit Scope(const Stats& stats, Threads threads = Threads::kThis);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::shared_ptr<detail::StatsState> state_;
    std::shared_ptr<detail::StatsState> before_;
    Threads threads_;
  };

  Stats();

  std::map<std::string, Entry> operations() const;
  Entry total() const;
  // Of what ran here since the last reset; nothing when nothing did.
  std::optional<Period> period() const;

  void add(std::string_view operation, const Entry& entry);
  void merge(const Stats& other);
  // Adds what to_json() wrote, here or on another machine. Throws Error
  // (kInvalidArgument) for anything else, and adds nothing then.
  void merge(const Json& operations);
  void reset();

  // {"add": {"count", "nanoseconds", "bytes", "flops"}, ...}
  Json to_json() const;

  // What collects from all threads now. Servers show it in /statistics as `operations`.
  static std::optional<Stats> of_all_threads();

 private:
  std::shared_ptr<detail::StatsState> state_;
};

// What `fn` computes on this thread. `fn` must not be a coroutine.
template <class F>
const Stats& collect(const Stats& stats, F&& fn) {
  const Stats::Scope scope(stats);
  std::forward<F>(fn)();
  return stats;
}
template <class F>
Stats collect(F&& fn) {
  Stats stats;
  collect(stats, std::forward<F>(fn));
  return stats;
}

}  // namespace sm
