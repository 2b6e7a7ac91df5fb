#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "http/message.hpp"

namespace sm::http {

// What a connection is doing, which decides how long it may and who may end it.
enum class Phase : uint8_t {
  kIdle,     // between requests: stop() ends it
  kHeader,   // some bytes of a header have come
  kBody,     // the header is there
  kHandler,  // no deadline; the peer is looked after instead
  kWrite,
  kLinger,  // dropping the rest of a refused request
  kCut,     // final: a deadline passed, or the server closes
};

// One connection's phase and deadline in one atomic word, so that its
// coroutine pays one exchange a phase instead of a timer, and a deadline can't
// strike a phase that has just ended.
class Watch {
 public:
  Watch(int fd, std::shared_ptr<Peer> peer) : fd_(fd), peer_(std::move(peer)) {}

  // False when the connection has been cut; then it must end.
  bool enter(Phase phase, std::chrono::milliseconds budget) noexcept;
  bool cut() const noexcept;

 private:
  friend class Watcher;
  bool cut_if(int64_t seen, int how) noexcept;
  void check(int64_t now, int64_t tick) noexcept;

  const int fd_;
  const std::shared_ptr<Peer> peer_;
  std::atomic<int64_t> state_{0};
  size_t index_ = 0;  // in Watcher's list
};

// Looks at all connections of a server a few times a second and ends those
// whose time has passed, by shutting their descriptors down: their coroutines
// see the end of the stream. Thread-safe.
class Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(boost::asio::io_context& context, std::chrono::milliseconds tick);

  // `watch` stays registered until remove(), which comes before its
  // descriptor is closed.
  void add(Watch& watch);
  void remove(Watch& watch);
  size_t size() const;

  void cut_idle();
  void cut_all();

 private:
  void schedule();
  void sweep();

  mutable std::mutex mutex_;
  std::vector<Watch*> watches_;      // guarded by mutex_
  boost::asio::steady_timer timer_;  // guarded by mutex_
  const std::chrono::milliseconds tick_;
};

}  // namespace sm::http
