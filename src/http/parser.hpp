#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "http/limits.hpp"
#include "http/message.hpp"

namespace sm::http {

// Both parsers turn the bytes of one connection into messages, one after
// another, and know no sockets:
//
//   parser.feed(bytes) until done(), then take(), and so on with the next.
//
// feed() returns how many bytes it took; the caller presents the others again
// in front of what comes next. It throws sm::Error: kProtocol for bytes that
// aren't HTTP/1.0 or 1.1, kHeadersTooLarge, kTooLarge. After a throw only
// destruction is left. Framing that two readers could read differently is
// refused: both lengths, differing lengths, codings other than "chunked",
// folded lines, bare line feeds, no or two Hosts.
//
// space() is the way for large bodies: while a body of known length is being
// received it is where the next bytes belong, so that a socket can read
// straight into the body, then commit(). Otherwise it is empty.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  RequestParser(RequestParser&&) noexcept;
  ~RequestParser();

  size_t feed(std::string_view bytes);
  std::span<char> space();
  void commit(size_t bytes);

  bool started() const noexcept;  // a byte of the current message has been taken
  bool header_done() const noexcept;
  bool done() const noexcept;
  // The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const noexcept;
  size_t body_received() const noexcept;
  // How many bytes of the body are still to come; nothing when only its end will say.
  std::optional<uint64_t> body_missing() const noexcept;
  // Once header_done(), and until take().
  RequestHead head() const noexcept;

  // The complete request; the parser starts on the next one. Memory of what
  // `request` was before is used again.
  void take(Request& request);
  Request take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ResponseParser {
 public:
  explicit ResponseParser(const Limits& limits);
  ResponseParser(ResponseParser&&) noexcept;
  ~ResponseParser();

  // Before the first byte of a response to HEAD: it has no body.
  void expect_no_body();
  size_t feed(std::string_view bytes);
  // The connection ended; completes a body that ends with it. Throws
  // sm::Error (kConnection) when the message is cut short.
  void feed_end();
  std::span<char> space();
  void commit(size_t bytes);

  bool started() const noexcept;
  bool done() const noexcept;
  // Valid once done: the connection can carry another message.
  bool keep_alive() const noexcept;

  Response take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sm::http
