// A program that compiles Asio for itself, as users' programs do, and whose
// coroutines await Asio's timers and the library's tasks in turn.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdio>

#include "shumai/shumai.hpp"

sm::Task<double> product_after_a_while() {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(1));
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_await sm::util::sleep(std::chrono::milliseconds(1));
  co_return (sm::scalar(6.0f) * sm::scalar(7.0f)).item<double>();
}

sm::Task<> fetch_from_nobody() { co_await sm::io::tfetch("127.0.0.1:1/forward", sm::scalar(1.0f)); }

bool connection_fails_with_its_code() {
  try {
    sm::run(fetch_from_nobody());
    return false;
  } catch (const sm::Error& error) {
    return error.code() == sm::ErrorCode::kConnection;
  }
}

int main() {
  if (sm::run(product_after_a_while()) != 42) return std::puts("a task's result is wrong"), 1;
  if (!connection_fails_with_its_code()) return std::puts("an error changed on its way out of the library"), 1;
  return 0;
}
