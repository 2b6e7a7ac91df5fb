#include "io/connect.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <optional>
#include <vector>

#include "shumai/error.hpp"

namespace sm::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A lookup runs in a blocked thread of Asio's that can't be called off, so the
// waiting coroutine races it against the deadline and may leave first.
template <class Handler>
struct Lookup {
  Lookup(Handler handler, const asio::any_io_executor& executor, Clock::time_point when)
      : handler_(std::move(handler)), resolver(executor), timer(executor, when) {}

  void finish(ErrorInfo error, tcp::resolver::results_type results) {
    if (finished_.exchange(true)) return;
    timer.cancel();
    auto executor = asio::get_associated_executor(handler_, timer.get_executor());
    asio::dispatch(executor, [handler = std::move(handler_), error, results = std::move(results)]() mutable {
      std::move(handler)(error, std::move(results));
    });
  }

  std::atomic<bool> finished_{false};
  Handler handler_;
  tcp::resolver resolver;
  asio::steady_timer timer;
};

Task<tcp::resolver::results_type> look_up(std::string host, uint16_t port, Clock::time_point when, ErrorInfo& error) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto start = [&](auto handler) {
    auto lookup = std::make_shared<Lookup<decltype(handler)>>(std::move(handler), executor, when);
    lookup->timer.async_wait([lookup](ErrorInfo failed) {
      if (!failed) lookup->finish(asio::error::timed_out, {});
    });
    lookup->resolver.async_resolve(host, std::to_string(port), tcp::resolver::numeric_service,
                                   [lookup](ErrorInfo failed, tcp::resolver::results_type results) {
                                     lookup->finish(failed, std::move(results));
                                   });
  };
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_return co_await asio::async_initiate<decltype(token), void(ErrorInfo, tcp::resolver::results_type)>(start, token);
}

std::optional<tcp::endpoint> numeric(const std::string& host, uint16_t port) {
  ErrorInfo error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return std::nullopt;
  return tcp::endpoint(address, port);
}

// The system's words, and what they mean here.
std::string explained(const ErrorInfo& error) {
  if (error == asio::error::host_not_found) return "no host has this name";
  if (error == asio::error::connection_refused) return error.message() + " (is a server running there?)";
  return error.message();
}

[[noreturn]] void fail(const Address& address, const ErrorInfo& error) {
  if (error == asio::error::operation_aborted)
    throw Error(ErrorCode::kCancelled, "connecting to " + to_string(address) + " was cancelled");
  throw Error(ErrorCode::kConnection, "can't connect to " + to_string(address) + ": " + explained(error));
}

Endpoint unix_endpoint(const std::string& path) {
  try {
    return asio::local::stream_protocol::endpoint(path);
  } catch (const boost::system::system_error&) {
    throw Error(ErrorCode::kInvalidArgument, "unix socket: the path is too long: " + path);
  }
}

Task<std::vector<Endpoint>> endpoints_of(Address address, Clock::time_point when) {
  std::vector<Endpoint> endpoints;
  if (!address.unix_path.empty()) {
    endpoints.push_back(unix_endpoint(address.unix_path));
  } else if (auto endpoint = numeric(address.host, address.port)) {
    endpoints.push_back(*endpoint);
  } else {
    ErrorInfo error;
    const auto results = co_await look_up(address.host, address.port, when, error);
    if (error == asio::error::timed_out)
      throw Error(ErrorCode::kTimeout,
                  "can't connect to " + to_string(address) + ": looking up the name took too long");
    if (error) fail(address, error);
    for (const auto& entry : results) endpoints.push_back(entry.endpoint());
  }
  co_return endpoints;
}

}  // namespace

std::string to_string(const Address& address) {
  if (!address.unix_path.empty()) return "unix:" + address.unix_path;
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Task<Stream> connect(Address address, Deadline& deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const std::vector<Endpoint> endpoints = co_await endpoints_of(address, deadline.when());
  ErrorInfo error = asio::error::host_not_found;
  for (const Endpoint& endpoint : endpoints) {
    Protocol::socket socket(executor);
    socket.open(endpoint.protocol(), error);
    if (error) continue;
    deadline.watch(socket.native_handle());
    struct Release {
      Deadline& deadline;
      ~Release() { deadline.release(); }
    } release{deadline};
    co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (deadline.passed()) throw Error(ErrorCode::kTimeout, "can't connect to " + to_string(address) + " in time");
    // Dialling a port that nobody has may, when that port is drawn for this end, meet itself.
    ErrorInfo ignored;
    if (!error && socket.local_endpoint(ignored) == endpoint && address.unix_path.empty())
      error = asio::error::connection_refused;
    if (!error) co_return Stream(std::move(socket));
    if (error == asio::error::operation_aborted) break;
  }
  fail(address, error);
}

Endpoint listen_endpoint(const std::string& host, uint16_t port) {
  if (host.starts_with("unix:")) return unix_endpoint(host.substr(5));
  if (auto endpoint = numeric(host.empty() || host == "*" ? "0.0.0.0" : host, port)) return *endpoint;
  asio::io_context context;
  ErrorInfo error;
  const auto results =
      tcp::resolver(context).resolve(host, std::to_string(port), tcp::resolver::numeric_service, error);
  if (error || results.empty())
    throw Error(ErrorCode::kConnection,
                "can't listen on " + host + ":" + std::to_string(port) + ": " + error.message());
  for (const auto& entry : results)
    if (entry.endpoint().address().is_v4()) return entry.endpoint();
  return results.begin()->endpoint();
}

std::string listen_address(const std::string& host) {
  if (host.starts_with("unix:")) return host;
  const Endpoint endpoint = listen_endpoint(host, 0);
  tcp::endpoint address;
  std::memcpy(address.data(), endpoint.data(), std::min(endpoint.size(), address.capacity()));
  return address.address().to_string();
}

bool is_loopback(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  const auto endpoint = numeric(std::string(host), 0);
  if (!endpoint) return false;
  const asio::ip::address address = endpoint->address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

}  // namespace sm::io
