#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "shumai/task_fwd.hpp"

namespace sm {

namespace detail {
void run_task(Task<> task);
// Runs all at once on the caller's executor and waits for every one, then
// throws the first failure in the order given.
Task<> run_all(std::vector<Task<>> tasks);

template <class T>
Task<> store(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}
}  // namespace detail

// Runs `task` to its end on this thread, with an event loop of its own, and
// returns what it returns or throws what it throws. Not from inside a task.
template <class T>
T run(Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    detail::run_task(std::move(task));
  } else {
    std::optional<T> out;
    detail::run_task(detail::store(std::move(task), out));
    return std::move(*out);
  }
}

namespace util {

// Suspends for a time without holding up the thread.
Task<> sleep(std::chrono::nanoseconds duration);

// Awaits several tasks that run at the same time; the results in order:
// `auto [a, b] = co_await all(f(), g())`. When one fails, the others still run
// to their end, then the first failure is thrown. All run on the caller's executor.
template <class... T>
requires(!std::is_void_v<T> && ...) Task<std::tuple<T...>> all(Task<T>... tasks) {
  std::tuple<std::optional<T>...> results;
  std::vector<Task<>> running;
  running.reserve(sizeof...(T));
  std::apply([&](auto&... slot) { (running.push_back(detail::store(std::move(tasks), slot)), ...); }, results);
  co_await detail::run_all(std::move(running));
  co_return std::apply([](auto&... slot) { return std::tuple<T...>(std::move(*slot)...); }, results);
}

template <class T>
requires(!std::is_void_v<T>) Task<std::vector<T>> all(std::vector<Task<T>> tasks) {
  std::vector<std::optional<T>> results(tasks.size());
  std::vector<Task<>> running;
  running.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) running.push_back(detail::store(std::move(tasks[i]), results[i]));
  co_await detail::run_all(std::move(running));
  std::vector<T> out;
  out.reserve(results.size());
  for (std::optional<T>& result : results) out.push_back(std::move(*result));
  co_return out;
}

inline Task<> all(std::vector<Task<>> tasks) { return detail::run_all(std::move(tasks)); }

}  // namespace util
}  // namespace sm
