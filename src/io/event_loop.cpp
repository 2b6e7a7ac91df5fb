#include "io/event_loop.hpp"

#include <exception>
#include <string>

#include "util/log.hpp"

namespace sm::io {

void run_logged(boost::asio::io_context& context) noexcept {
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& error) {
      util::log_error(std::string("event loop: a handler threw: ") + error.what());
    } catch (...) {
      util::log_error("event loop: a handler threw something that isn't an exception");
    }
  }
}

EventLoop::EventLoop(size_t threads)
    : context_(static_cast<int>(threads ? threads : 1)),
      work_(context_.get_executor()),
      running_(threads ? threads : 1) {
  for (size_t i = 0; i < (threads ? threads : 1); ++i)
    threads_.emplace_back([this] {
      run_logged(context_);
      const std::lock_guard lock(mutex_);
      --running_;
      ended_.notify_all();
    });
}

bool EventLoop::join_until(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return ended_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

EventLoop::~EventLoop() {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void EventLoop::stop() noexcept { context_.stop(); }

}  // namespace sm::io
