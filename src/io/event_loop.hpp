#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace sm::io {

// An io_context and the threads that run it, from construction to destruction.
// A handler that throws costs a line in the log, not the process.
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
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t running_;  // threads, guarded by mutex_
  std::vector<std::thread> threads_;
};

// Runs `context` until it is out of work or stopped; an exception that leaves
// a handler is logged and the loop goes on.
void run_logged(boost::asio::io_context& context) noexcept;

}  // namespace sm::io
