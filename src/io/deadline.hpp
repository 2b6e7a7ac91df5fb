#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

namespace sm::io {

using Clock = std::chrono::steady_clock;

// Shuts the watched socket down when its time comes, which ends whatever a
// coroutine awaits on that socket. It works on the descriptor, not on Asio's
// object, so the timer may fire on another thread than the coroutine's.
class Deadline {
 public:
  // Clock::time_point::max() never comes, and costs no timer.
  Deadline(const boost::asio::any_io_executor& executor, Clock::time_point when);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  Clock::time_point when() const noexcept { return when_; }

  // Watches `fd` instead of the one before; shuts it down at once when the
  // time has passed. release() comes before the descriptor is closed.
  void watch(int fd);
  void release();
  bool passed() const;

 private:
  struct State;
  Clock::time_point when_;
  std::shared_ptr<State> state_;
  boost::asio::steady_timer timer_;
};

}  // namespace sm::io
