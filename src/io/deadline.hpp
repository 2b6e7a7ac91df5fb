#pragma once

#include <boost/intrusive/set.hpp>
#include <chrono>

namespace sm::io {

using Clock = std::chrono::steady_clock;

// Shuts the watched socket down when its time comes, which ends whatever a
// coroutine awaits on that socket. A thread of the process does that, on the
// descriptor and not on Asio's object.
class Deadline : public boost::intrusive::set_base_hook<> {
 public:
  // Clock::time_point::max() never comes.
  explicit Deadline(Clock::time_point when);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  Clock::time_point when() const noexcept { return when_; }

  // Watches `fd` instead of the one before; shuts it down at once when the
  // time has passed. release() comes before the descriptor is closed.
  void watch(int fd);
  void release();
  bool passed() const;

  friend bool operator<(const Deadline& a, const Deadline& b) noexcept { return a.when_ < b.when_; }

 private:
  friend class Deadlines;
  const Clock::time_point when_;
  // Guarded by the mutex of Deadlines:
  int fd_ = -1;
  bool passed_ = false;
};

}  // namespace sm::io
