#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "io/tls_session.hpp"
#include "shumai/task_fwd.hpp"

namespace sm::io {

using Protocol = boost::asio::generic::stream_protocol;
using Endpoint = Protocol::endpoint;
using ErrorInfo = boost::system::error_code;

// One connected stream of bytes, TCP or Unix, with TLS once start_tls() was
// called. One operation at a time, by one coroutine; it may be resumed on any
// thread. Failures come in `error`, never as exceptions, except the one
// that Asio throws into a cancelled coroutine.
class Stream {
 public:
  // Takes a connected socket. Sets TCP_NODELAY where there is TCP.
  explicit Stream(Protocol::socket socket);

  // From now on bytes are sent and received by `session`, which is on fd().
  void start_tls(std::unique_ptr<TlsSession> session) { tls_ = std::move(session); }
  // Null without TLS.
  const TlsSession* tls() const noexcept { return tls_.get(); }
  // Must end before the first byte is read or written.
  Task<void> handshake(ErrorInfo& error);
  // Back to plain bytes, after a handshake that failed.
  void drop_tls() noexcept { tls_.reset(); }

  // Waits for at least one byte. At the end of the stream: 0 and asio's eof.
  Task<size_t> read_some(std::span<char> into, ErrorInfo& error);

  // Writes what goes without waiting. 0 and no error when nothing does. The
  // next write must begin with what is left.
  size_t try_write(std::span<const boost::asio::const_buffer> buffers, ErrorInfo& error);

  // Waits until some bytes are written.
  Task<size_t> write_some(std::span<const boost::asio::const_buffer> buffers, ErrorInfo& error);

  // True when the peer neither closed nor sent anything: fit for another request.
  bool quiet() const;

  // Tells the peer that nothing more will come.
  void shutdown_send() noexcept;
  int fd() const noexcept { return fd_; }

 private:
  Task<size_t> read_tls(std::span<char> into, ErrorInfo& error);
  Task<size_t> write_tls(std::span<const boost::asio::const_buffer> buffers, ErrorInfo& error);
  Task<void> wait(TlsSession::Wait what, ErrorInfo& error);

  Protocol::socket socket_;
  int fd_;
  std::unique_ptr<TlsSession> tls_;  // is destroyed, with its goodbye, before the socket
  unsigned reads_at_once_ = 0;       // since the last one that had to wait
};

// Drops the first `bytes` bytes of `buffers`.
void advance(std::span<boost::asio::const_buffer>& buffers, size_t bytes);

// "127.0.0.1:3000", "[::1]:3000" or "unix:/path".
std::string to_string(const Endpoint& endpoint);

}  // namespace sm::io
