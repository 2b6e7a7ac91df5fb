#include "http/server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/connection.hpp"
#include "http/problem.hpp"
#include "http/serialize.hpp"
#include "io/connect.hpp"
#include "io/tls.hpp"
#include "util/log.hpp"

namespace sm::http {
namespace {

namespace asio = boost::asio;
using Acceptor = asio::basic_socket_acceptor<io::Protocol>;

void log_failure(std::exception_ptr failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    util::log_error(std::string("http: a connection ended with an exception: ") + error.what());
  } catch (...) {
    util::log_error("http: a connection ended with something that isn't an exception");
  }
}

void turn_away(ServerState& server, io::Stream stream, bool tls) {
  ++server.statistics.connections_refused;
  if (tls) return;  // a handshake would cost more than there is
  Response response = problem(503, "unavailable", "the server has as many connections as it takes; try again");
  response.headers.set("Retry-After", "1");
  std::string head;
  append_head(head, response, 11, false);
  std::vector<asio::const_buffer> buffers;
  gather(head, response.body, buffers);
  io::ErrorInfo ignored;
  stream.try_write(buffers, ignored);
}

void start(const std::shared_ptr<ServerState>& server, io::Protocol::socket socket, io::TlsServer* tls) {
  io::ErrorInfo ignored;
  const std::string peer = io::to_string(socket.remote_endpoint(ignored));
  io::Stream stream(std::move(socket));
  if (server->statistics.connections_open.fetch_add(1) >= server->limits.max_connections) {
    --server->statistics.connections_open;
    return turn_away(*server, std::move(stream), tls);
  }
  if (tls) stream.start_tls(tls->open(stream.fd()));
  auto connection = std::make_unique<Connection>(server, std::move(stream), peer);
  asio::co_spawn(server->context, Connection::run(std::move(connection)), log_failure);
}

Task<> accept_loop(std::shared_ptr<ServerState> server, Acceptor acceptor, std::shared_ptr<io::TlsServer> tls) {
  asio::any_io_executor executor = server->context.get_executor();
  asio::steady_timer pause(executor);
  while (!server->stopping) {
    io::ErrorInfo error;
    io::Protocol::socket socket =
        co_await acceptor.async_accept(executor, asio::redirect_error(asio::use_awaitable, error));
    if (server->stopping) break;
    if (!error) {
      start(server, std::move(socket), tls.get());
      continue;
    }
    // Out of descriptors, most likely: some will come free.
    util::log_warning("http: can't accept a connection: " + error.message());
    pause.expires_after(std::chrono::milliseconds(50));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  std::lock_guard lock(server->mutex);
  std::erase(server->listeners, acceptor.native_handle());
}

[[noreturn]] void fail(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kConnection, "can't listen on " + where + ": " + why);
}

// A file that a dead server left behind stands in the way of bind().
void remove_stale(const io::Endpoint& endpoint, const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const bool dead =
      ::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 && errno == ECONNREFUSED;
  ::close(fd);
  if (dead) ::unlink(path.c_str());
}

uint16_t port_of(const io::Endpoint& endpoint) {
  const std::string text = io::to_string(endpoint);
  const size_t colon = text.rfind(':');
  return text.starts_with("unix:") ? 0 : static_cast<uint16_t>(std::stoul(text.substr(colon + 1)));
}

}  // namespace

Server::Server(asio::io_context& context, Handler handler, Limits limits, Admit admit)
    : state_(std::make_shared<ServerState>(context, std::move(handler), limits, std::move(admit))) {}

Server::~Server() { close_all(); }

uint16_t Server::listen(const std::string& host, uint16_t port, unsigned socket_mode,
                        std::shared_ptr<io::TlsServer> tls) {
  const io::Endpoint endpoint = io::listen_endpoint(host, port);
  const std::string where = io::to_string(endpoint);
  const bool is_unix = host.starts_with("unix:");
  if (is_unix) remove_stale(endpoint, host.substr(5));
  Acceptor acceptor(state_->context);
  io::ErrorInfo error;
  acceptor.open(endpoint.protocol(), error);
  if (!error && !is_unix) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  // Nobody can connect before listen().
  if (!error && is_unix && ::chmod(host.c_str() + 5, socket_mode) != 0)
    error = io::ErrorInfo(errno, boost::system::system_category());
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error == asio::error::address_in_use)
    fail(where, error.message() + " (stop what listens there, or choose another port; 0: any free one)");
  if (error) fail(where, error.message());
  const uint16_t bound = port_of(acceptor.local_endpoint());
  {
    std::lock_guard lock(state_->mutex);
    if (state_->stopping) fail(where, "the server has been stopped");
    state_->listeners.push_back(acceptor.native_handle());
    if (is_unix) state_->socket_files.push_back(host.substr(5));
  }
  asio::co_spawn(state_->context, accept_loop(state_, std::move(acceptor), std::move(tls)), log_failure);
  return bound;
}

void Server::stop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    // Refuses connections from now on, and wakes the accept loops, which close.
    for (const int fd : state_->listeners) ::shutdown(fd, SHUT_RDWR);
    for (const std::string& file : state_->socket_files) ::unlink(file.c_str());
    state_->socket_files.clear();
  }
  state_->watcher->cut_idle();
}

Task<bool> Server::drain(std::chrono::steady_clock::time_point deadline) {
  stop();
  const std::shared_ptr<ServerState> state = state_;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (state->statistics.connections_open > 0) {
    if (std::chrono::steady_clock::now() >= deadline) co_return false;
    timer.expires_after(std::chrono::milliseconds(5));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return true;
}

void Server::close_all() {
  stop();
  state_->watcher->cut_all();
}

const ServerStatistics& Server::statistics() const noexcept { return state_->statistics; }

}  // namespace sm::http
