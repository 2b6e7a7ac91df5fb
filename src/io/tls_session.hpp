#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct ssl_st;
struct ssl_session_st;

namespace sm::io {

class TlsClient;
class TlsContext;

// Errors of OpenSSL as error codes.
const boost::system::error_category& tls_category() noexcept;

// True when `error` is the peer's word that it refuses this end for good: its
// certificate, or what it offers.
bool is_tls_refusal(const boost::system::error_code& error) noexcept;

// What such a refusal may mean, and what to do.
std::string explain_refusal(const boost::system::error_code& error);

// TLS on one socket that doesn't block and that belongs to somebody else. No
// call waits: where one can't go on it says what the socket has to be ready
// for. One call at a time.
class TlsSession {
 public:
  enum class Wait : uint8_t { kNothing, kRead, kWrite };

  // Takes `ssl`.
  TlsSession(ssl_st* ssl, int fd, std::shared_ptr<TlsContext> context);
  // Says goodbye if there is somebody to say it to.
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Wait handshake(boost::system::error_code& error);

  // Reads what is there, at least one byte; asio's eof after the peer's
  // goodbye. A stream that just ends is an error: somebody may have cut it.
  Wait read(std::span<char> into, size_t& bytes, boost::system::error_code& error);

  // Writes what goes. After it had to wait, the next call must begin with the same bytes.
  Wait write(std::span<const boost::asio::const_buffer> buffers, size_t& bytes, boost::system::error_code& error);

  // Nothing to read, not even the end.
  bool quiet() noexcept;
  // Tells the peer that nothing more will come.
  void say_goodbye() noexcept;

  // After a handshake that failed: the peer sent HTTP instead.
  bool met_http() const noexcept { return met_http_; }
  // After a handshake: the subject of the peer's verified certificate, by its
  // common name, else its first URI, DNS name or address for mail; else empty.
  std::string peer_name() const;
  bool resumed() const noexcept;
  // What went wrong in a client's handshake with `host`, and what to do.
  std::string explain(const boost::system::error_code& error, const std::string& host) const;
  // It would go the same way next time.
  bool hopeless(const boost::system::error_code& error) const noexcept;

 private:
  friend class TlsClient;
  friend struct TlsCallbacks;
  Wait settle(int result, boost::system::error_code& error);

  ssl_st* ssl_;
  const int fd_;
  const std::shared_ptr<TlsContext> context_;
  std::weak_ptr<TlsClient> client_;  // whom sessions are kept for
  std::string peer_;                 // and under which name
  std::string refused_names_;        // of a certificate that isn't accepted
  boost::system::error_code read_failure_;
  int system_error_ = 0;
  bool ended_ = false;  // the socket has no more to read
  bool shaken_ = false;
  bool broken_ = false;
  bool met_http_ = false;
};

}  // namespace sm::io
