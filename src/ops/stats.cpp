#include "shumai/stats.hpp"

#include <algorithm>
#include <vector>

#include "ops/measure.hpp"
#include "ops/stats_state.hpp"
#include "shumai/error.hpp"

namespace sm {

namespace detail {
namespace {

using StatePtr = std::shared_ptr<StatsState>;

thread_local StatePtr of_this_thread;

struct AllThreads {
  std::mutex mutex;
  std::vector<StatePtr> open;  // the innermost last
};

// Never destroyed: threads may still compute while the process ends.
AllThreads& all_threads() {
  static AllThreads& all = *new AllThreads;
  return all;
}

StatePtr collector_of_all() {
  AllThreads& all = all_threads();
  const std::lock_guard lock(all.mutex);
  return all.open.empty() ? nullptr : all.open.back();
}

}  // namespace

void StatsState::add(std::string_view operation, const Stats::Entry& entry) {
  const std::lock_guard lock(mutex);
  const auto found = operations.find(operation);
  if (found != operations.end())
    found->second += entry;
  else
    operations.emplace(operation, entry);
}

void StatsState::add_run(std::string_view operation, const Stats::Entry& entry,
                         std::chrono::system_clock::time_point begin) {
  add(operation, entry);
  const auto end = std::chrono::system_clock::now();
  const std::lock_guard lock(mutex);
  if (!period) period = {begin, end};
  period = {std::min(period->begin, begin), std::max(period->end, end)};
}

StatePtr collector_of_thread() { return of_this_thread ? of_this_thread : collector_of_all(); }

}  // namespace detail

Stats::Entry& Stats::Entry::operator+=(const Entry& other) {
  count += other.count;
  nanoseconds += other.nanoseconds;
  bytes += other.bytes;
  flops += other.flops;
  return *this;
}

Stats::Scope::Scope(const Stats& stats, Threads threads) : state_(stats.state_), threads_(threads) {
  if (threads_ == Threads::kThis) {
    before_ = std::exchange(detail::of_this_thread, state_);
  } else {
    detail::AllThreads& all = detail::all_threads();
    const std::lock_guard lock(all.mutex);
    all.open.push_back(state_);
  }
  ++ops::collectors;
}

Stats::Scope::~Scope() {
  --ops::collectors;
  if (threads_ == Threads::kThis) {
    detail::of_this_thread = std::move(before_);
    return;
  }
  detail::AllThreads& all = detail::all_threads();
  const std::lock_guard lock(all.mutex);
  const auto last = std::find(all.open.rbegin(), all.open.rend(), state_);
  if (last != all.open.rend()) all.open.erase(std::next(last).base());
}

Stats::Stats() : state_(std::make_shared<detail::StatsState>()) {}

std::map<std::string, Stats::Entry> Stats::operations() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->operations.begin(), state_->operations.end()};
}

Stats::Entry Stats::total() const {
  Entry sum;
  for (const auto& [operation, entry] : operations()) sum += entry;
  return sum;
}

std::optional<Stats::Period> Stats::period() const {
  const std::lock_guard lock(state_->mutex);
  return state_->period;
}

void Stats::add(std::string_view operation, const Entry& entry) { state_->add(operation, entry); }

void Stats::merge(const Stats& other) {
  for (const auto& [operation, entry] : other.operations()) add(operation, entry);
}

void Stats::merge(const Json& operations) {
  if (!operations.is_object())
    throw Error(ErrorCode::kInvalidArgument,
                "Stats::merge: expected an object of operations, got " + operations.dump());
  std::vector<std::pair<std::string, Entry>> read;
  for (const auto& [operation, counts] : operations.as_object()) {
    const auto number = [&, name = operation, &from = counts](const char* key) {
      const Json* found = from.find(key);
      if (!found || !found->is_number() || !(found->as_double() >= 0))
        throw Error(ErrorCode::kInvalidArgument, "Stats::merge: expected a number of 0 or more as \"" +
                                                     std::string(key) + "\" of " + name + ", got " +
                                                     (found ? found->dump() : "nothing"));
      return found;
    };
    const auto whole = [&](const char* key) { return static_cast<uint64_t>(number(key)->as_int64()); };
    read.emplace_back(operation,
                      Entry{whole("count"), whole("nanoseconds"), whole("bytes"), number("flops")->as_double()});
  }
  for (const auto& [operation, entry] : read) add(operation, entry);
}

void Stats::reset() {
  const std::lock_guard lock(state_->mutex);
  state_->operations.clear();
  state_->period.reset();
}

Json Stats::to_json() const {
  Json out = Json::object();
  for (const auto& [operation, entry] : operations())
    out[operation] = Json::object(
        {{"count", entry.count}, {"nanoseconds", entry.nanoseconds}, {"bytes", entry.bytes}, {"flops", entry.flops}});
  return out;
}

std::optional<Stats> Stats::of_all_threads() {
  const detail::StatePtr state = detail::collector_of_all();
  if (!state) return std::nullopt;
  Stats stats;
  stats.state_ = state;
  return stats;
}

}  // namespace sm
