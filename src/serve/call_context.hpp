#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sm::io {

// What a request hands on to the requests that its handler makes.
struct CallContext {
  // https://www.w3.org/TR/trace-context/; empty: none.
  std::string traceparent;
  // The routes that the request went through, "server/route" each, separated by commas.
  std::string path;
};

// An executor that knows its call: what a handler awaits, and what that awaits
// in turn, finds the context by it. Compares and behaves as the inner one.
class CallExecutor {
 public:
  CallExecutor(boost::asio::any_io_executor inner, std::shared_ptr<const CallContext> context)
      : inner_(std::move(inner)), context_(std::move(context)) {}

  const CallContext& context() const noexcept { return *context_; }

  template <class F>
  void execute(F&& function) const {
    inner_.execute(std::forward<F>(function));
  }
  template <class Property>
  requires boost::asio::can_query<const boost::asio::any_io_executor&, Property>::value decltype(auto) query(
      const Property& property) const {
    return boost::asio::query(inner_, property);
  }
  template <class Property>
  requires boost::asio::can_require<const boost::asio::any_io_executor&, Property>::value CallExecutor
  require(const Property& property)
  const { return CallExecutor(boost::asio::require(inner_, property), context_); }
  template <class Property>
  requires boost::asio::can_prefer<const boost::asio::any_io_executor&, Property>::value CallExecutor
  prefer(const Property& property)
  const { return CallExecutor(boost::asio::prefer(inner_, property), context_); }
  friend bool operator==(const CallExecutor& a, const CallExecutor& b) noexcept {
    return a.inner_ == b.inner_ && a.context_ == b.context_;
  }
  friend bool operator!=(const CallExecutor& a, const CallExecutor& b) noexcept { return !(a == b); }

 private:
  boost::asio::any_io_executor inner_;
  std::shared_ptr<const CallContext> context_;
};

// The context of the call that runs on `executor`; null outside of handlers.
const CallContext* context_of(const boost::asio::any_io_executor& executor) noexcept;

// The version, ids and flags of a traceparent are well-formed.
bool is_traceparent(std::string_view text) noexcept;

// The same trace with a new span; a new trace when `parent` is empty.
std::string next_traceparent(std::string_view parent);

// Throws Error (kLoop) when `path` has `step` already or has `max_hops` steps.
// Returns the path with `step` added.
std::string extend_path(std::string_view path, std::string_view step, size_t max_hops);

}  // namespace sm::io
