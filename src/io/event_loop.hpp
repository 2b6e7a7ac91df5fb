#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "util/busy_poll.hpp"

namespace sm::io {

// An io_context and the threads that run it, from construction to destruction.
// A handler that throws costs a line in the log, not the process.
//
// While there is work one thread leads: it asks for what is ready without
// sleeping, and goes on for a moment after the last. The others stand by, and
// one of them is the deputy: it helps while many handlers are ready at once, and
// leads when the leader has been in a handler for long. When there is nothing to
// do nobody leads, and all sleep inside Asio, which wakes them.
class EventLoop {
 public:
  explicit EventLoop(size_t threads = 1);
  // Stops and joins. Must not run on one of the loop's own threads.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  boost::asio::io_context& context() noexcept { return context_; }

  // The threads return after what they are running now; what waits is dropped
  // with the loop. Thread-safe.
  void stop() noexcept;

  // After stop(): waits for the threads. False when one is still busy at
  // `deadline`; the destructor waits for it then.
  bool join_until(std::chrono::steady_clock::time_point deadline);

 private:
  static constexpr size_t kNobody = 0;

  void run(size_t me) noexcept;
  size_t run_ready() noexcept;
  bool take_lead(size_t me);
  void lead(size_t me);
  void stand_by(size_t me);
  void resign(size_t me);
  void ask_for_help(std::chrono::steady_clock::time_point now);
  void help();

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t running_;                           // threads, guarded by mutex_
  std::atomic<size_t> leader_{kNobody};      // a thread's number; written under mutex_
  std::atomic<bool> deputy_waits_{false};    // written under mutex_
  std::condition_variable deputy_, others_;  // where they stand by
  // Times in nanoseconds of the steady clock:
  std::atomic<int64_t> out_of_work_{0};  // when the leader last was
  std::atomic<int64_t> crowded_{0};      // when there was work for several last
  util::BusyPoll busy_poll_;
  std::vector<std::thread> threads_;
};

}  // namespace sm::io
