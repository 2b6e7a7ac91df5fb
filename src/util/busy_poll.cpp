#include "util/busy_poll.hpp"

#include <algorithm>
#include <thread>

namespace sm::util {
namespace {

using Clock = BusyPoll::Clock;
constexpr auto kRelaxed = std::memory_order_relaxed;

// The longest for so many times after one that found something, and once of so many otherwise.
constexpr int kPatience = 16;
constexpr unsigned kTry = 32;
constexpr std::chrono::microseconds kSlice{1000};
constexpr int64_t kShortestRest = 1'000'000, kLongestRest = 64'000'000;  // ns

int64_t ns(Clock::time_point time) { return std::chrono::nanoseconds(time.time_since_epoch()).count(); }

}  // namespace

bool BusyPoll::allowed() const noexcept { return ns(Clock::now()) >= not_until_.load(kRelaxed); }

bool BusyPoll::Idle::wait(Clock::time_point now) noexcept {
  asked_ = now;
  const int patience = poll_.patience_.load(kRelaxed);
  if (now - since_ >= (patience > 0 ? poll_.longest_ : kUsual)) {
    if (patience > 0)
      poll_.patience_.store(patience - 1, kRelaxed);
    else if (poll_.in_vain_.fetch_add(1, kRelaxed) % kTry == 0)
      poll_.patience_.store(1, kRelaxed);
    return false;
  }
  // To those that wait for this CPU, a client perhaps.
  const auto before = Clock::now();
  std::this_thread::yield();
  const auto back = Clock::now();
  if (back - before < kSlice) return true;
  poll_.rest(ns(back));
  return false;
}

void BusyPoll::Idle::restart(Clock::time_point now) noexcept {
  if (asked_ - since_ > kUsual) poll_.patience_.store(kPatience, kRelaxed);
  since_ = asked_ = now;
}

// Who yields to a thread that computes gets the CPU back when its time slice is over; who sleeps gets it when it wakes.
// So where others compute there is no polling for a while, which is longer when that is found again soon.
void BusyPoll::rest(int64_t now) noexcept {
  const int64_t last = rest_.load(kRelaxed);
  const bool again = now - not_until_.load(kRelaxed) < 8 * last;
  const int64_t next = again ? std::min(2 * last, kLongestRest) : kShortestRest;
  rest_.store(next, kRelaxed);
  not_until_.store(now + next, kRelaxed);
}

}  // namespace sm::util
