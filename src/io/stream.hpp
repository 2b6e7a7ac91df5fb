#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <span>
#include <string>

#include "shumai/task_fwd.hpp"

namespace sm::io {

using Protocol = boost::asio::generic::stream_protocol;
using Endpoint = Protocol::endpoint;
using ErrorInfo = boost::system::error_code;

// One connected stream of bytes, TCP or Unix; TLS will join behind the same
// functions. One operation at a time, by one coroutine; it may be resumed on
// any thread. Failures come in `error`, never as exceptions, except the one
// that Asio throws into a cancelled coroutine.
class Stream {
 public:
  // Takes a connected socket. Sets TCP_NODELAY where there is TCP.
  explicit Stream(Protocol::socket socket);

  // Waits for at least one byte. At the end of the stream: 0 and asio's eof.
  Task<size_t> read_some(std::span<char> into, ErrorInfo& error);

  // Writes what goes without waiting. 0 and no error when nothing does.
  size_t try_write(std::span<const boost::asio::const_buffer> buffers, ErrorInfo& error);

  // Waits until some bytes are written.
  Task<size_t> write_some(std::span<const boost::asio::const_buffer> buffers, ErrorInfo& error);

  // True when the peer neither closed nor sent anything: fit for another request.
  bool quiet() const;

  void shutdown_send() noexcept;
  int fd() const noexcept { return fd_; }

 private:
  Protocol::socket socket_;
  int fd_;
};

// Drops the first `bytes` bytes of `buffers`.
void advance(std::span<boost::asio::const_buffer>& buffers, size_t bytes);

// "127.0.0.1:3000", "[::1]:3000" or "unix:/path".
std::string to_string(const Endpoint& endpoint);

}  // namespace sm::io
