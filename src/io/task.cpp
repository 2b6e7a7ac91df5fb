#include "shumai/task.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <memory>

#include "util/busy_poll.hpp"

namespace sm {
namespace asio = boost::asio;

namespace detail {

void run_task(Task<> task) {
  asio::io_context loop(1);
  std::exception_ptr failure;
  asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error) {
    failure = error;
    // What the task left running (idle connections, say) ends with it.
    loop.stop();
  });
  // What it waits for is often an answer of a server, which may sleep as well.
  util::BusyPoll busy_poll(std::chrono::microseconds(200));
  while (loop.run_one() > 0) {
    if (!busy_poll.allowed()) continue;
    util::BusyPoll::Idle idle(busy_poll);
    do {
      while (loop.poll() > 0) idle.restart();
    } while (!loop.stopped() && idle.wait());
  }
  if (failure) std::rethrow_exception(failure);
}

Task<> run_all(std::vector<Task<>> tasks) {
  if (tasks.empty()) co_return;
  const auto executor = co_await asio::this_coro::executor;
  std::vector<std::exception_ptr> failures(tasks.size());
  size_t running = tasks.size();
  // A timer that never fires: cancelling it wakes this coroutine.
  asio::steady_timer done(executor, asio::steady_timer::time_point::max());
  for (size_t i = 0; i < tasks.size(); ++i)
    asio::co_spawn(executor, std::move(tasks[i]), [&, i](std::exception_ptr error) {
      failures[i] = error;
      if (--running == 0) done.cancel();
    });
  // The tasks refer to this frame, so it stays until the last one ends, even when cancelled.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (running > 0) {
    boost::system::error_code ignored;
    co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace detail

namespace util {

Task<> sleep(std::chrono::nanoseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace util
}  // namespace sm
