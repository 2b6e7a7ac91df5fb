// A program that compiles Asio for itself, as users' programs do, and shares
// its types with the library.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "shumai/error.hpp"

boost::asio::awaitable<int> status_after_a_while() {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(1));
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_return sm::http_status(sm::ErrorCode::kNotFound);
}

int main() {
  boost::asio::io_context context;
  int status = 0;
  boost::asio::co_spawn(context, status_after_a_while(), [&](std::exception_ptr, int answer) { status = answer; });
  context.run();
  return status == 404 ? 0 : 1;
}
