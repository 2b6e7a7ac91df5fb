#pragma once

// Names sm::Task without Asio's headers, for headers that only mention it.
// Include shumai/task.hpp to await one.

namespace boost::asio {
class any_io_executor;
template <typename T, typename Executor>
class awaitable;
}  // namespace boost::asio

namespace sm {

// A coroutine that yields a T: Boost.Asio's awaitable, so that everything made
// for Asio can be awaited beside it.
template <class T = void>
using Task = boost::asio::awaitable<T, boost::asio::any_io_executor>;

}  // namespace sm
