#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace sm::util {

// How long a thread that ran out of work asks for more before it sleeps: for 50 us. Or for up to `longest`, where that
// pays: waking a thread costs 3 us on one machine and 100 us on another, which nothing tells beforehand, so it polls
// for so long now and then, and goes on like that as long as something comes. Thread-safe; the threads of one loop
// share one.
class BusyPoll {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::microseconds kUsual{50};
  explicit constexpr BusyPoll(std::chrono::microseconds longest = kUsual) : longest_(longest) {}

  // False for a while after other threads needed the CPU.
  bool allowed() const noexcept;

  // The time of one thread in which there is nothing to do.
  class Idle {
   public:
    explicit Idle(BusyPoll& poll, Clock::time_point now = Clock::now()) : poll_(poll), since_(now), asked_(now) {}

    // There still is nothing: lets other threads run. False when it is time to sleep.
    bool wait(Clock::time_point now = Clock::now()) noexcept;

    // There was something, which is done now.
    void restart(Clock::time_point now = Clock::now()) noexcept;

   private:
    BusyPoll& poll_;
    Clock::time_point since_, asked_;
  };

 private:
  void rest(int64_t now) noexcept;

  const std::chrono::microseconds longest_;
  std::atomic<int> patience_{0};      // so many more times it polls for the longest time
  std::atomic<unsigned> in_vain_{0};  // usual times without any work
  // Nanoseconds of the steady clock:
  std::atomic<int64_t> not_until_{0};
  std::atomic<int64_t> rest_{0};  // how long that was
};

}  // namespace sm::util
