#include "io/stream.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

namespace sm::io {

namespace asio = boost::asio;

Stream::Stream(Protocol::socket socket) : socket_(std::move(socket)), fd_(socket_.native_handle()) {
  ErrorInfo ignored;
  socket_.non_blocking(true, ignored);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Task<void> Stream::wait(TlsSession::Wait what, ErrorInfo& error) {
  reads_at_once_ = 0;
  return socket_.async_wait(
      what == TlsSession::Wait::kRead ? Protocol::socket::wait_read : Protocol::socket::wait_write,
      asio::redirect_error(asio::use_awaitable, error));
}

Task<void> Stream::handshake(ErrorInfo& error) {
  for (;;) {
    const TlsSession::Wait next = tls_->handshake(error);
    if (next == TlsSession::Wait::kNothing) co_return;
    co_await wait(next, error);
    if (error) co_return;
  }
}

Task<size_t> Stream::read_some(std::span<char> into, ErrorInfo& error) {
  if (tls_) return read_tls(into, error);
  return socket_.async_read_some(asio::buffer(into.data(), into.size()),
                                 asio::redirect_error(asio::use_awaitable, error));
}

Task<size_t> Stream::read_tls(std::span<char> into, ErrorInfo& error) {
  // A peer that is always faster must not have the thread to itself.
  constexpr unsigned kMostAtOnce = 16;
  if (++reads_at_once_ > kMostAtOnce) {
    reads_at_once_ = 0;
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
  }
  for (;;) {
    size_t bytes = 0;
    const TlsSession::Wait next = tls_->read(into, bytes, error);
    if (next == TlsSession::Wait::kNothing) co_return bytes;
    co_await wait(next, error);
    if (error) co_return 0;
  }
}

size_t Stream::try_write(std::span<const asio::const_buffer> buffers, ErrorInfo& error) {
  size_t written = 0;
  if (tls_)
    tls_->write(buffers, written, error);
  else
    written = socket_.write_some(buffers, error);
  if (error == asio::error::would_block || error == asio::error::try_again) error = {};
  return written;
}

Task<size_t> Stream::write_some(std::span<const asio::const_buffer> buffers, ErrorInfo& error) {
  if (tls_) return write_tls(buffers, error);
  return socket_.async_write_some(buffers, asio::redirect_error(asio::use_awaitable, error));
}

Task<size_t> Stream::write_tls(std::span<const asio::const_buffer> buffers, ErrorInfo& error) {
  for (;;) {
    size_t bytes = 0;
    const TlsSession::Wait next = tls_->write(buffers, bytes, error);
    if (next == TlsSession::Wait::kNothing) co_return bytes;
    co_await wait(next, error);
    if (error) co_return 0;
  }
}

bool Stream::quiet() const {
  if (tls_) return tls_->quiet();
  char byte;
  const ssize_t got = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Stream::shutdown_send() noexcept {
  if (tls_) tls_->say_goodbye();
  ::shutdown(fd_, SHUT_WR);
}

void advance(std::span<asio::const_buffer>& buffers, size_t bytes) {
  while (!buffers.empty() && bytes >= buffers.front().size()) {
    bytes -= buffers.front().size();
    buffers = buffers.subspan(1);
  }
  if (bytes) buffers.front() += bytes;
}

std::string to_string(const Endpoint& endpoint) {
  const sockaddr* address = endpoint.data();
  char text[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  if (address->sa_family != AF_UNIX) return "unknown";
  const size_t head = offsetof(sockaddr_un, sun_path);
  if (endpoint.size() <= head) return "unix:";
  const char* path = reinterpret_cast<const sockaddr_un*>(address)->sun_path;
  return "unix:" + std::string(path, strnlen(path, endpoint.size() - head));
}

}  // namespace sm::io
