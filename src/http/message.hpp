#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/headers.hpp"
#include "shumai/task_fwd.hpp"
#include "util/buffer.hpp"

namespace sm::http {

// Bytes to send, in order, never copied; or what was received: no slice, or
// one whose data is aligned to Buffer::kAlignment and contiguous.
using Body = std::vector<util::Slice>;

size_t body_size(const Body& body) noexcept;
// The text of a received body.
std::string_view body_text(const Body& body) noexcept;
// A body that holds a copy of `text`; no slice when it is empty.
Body copy_body(std::string_view text);

// The other end of a server's connection, shared by all its requests.
struct Peer {
  std::string address;  // "127.0.0.1:51234", "unix:"
  // The subject of its certificate, where the server wants one; see TlsSession::peer_name().
  std::string name;
  // Set, and never unset, when the client is seen to have hung up. Checked a
  // few times a second while a handler runs.
  std::atomic<bool> gone{false};
};

// A request before its body has been read. Valid while the header is.
struct RequestHead {
  std::string_view method;
  std::string_view target;
  const Headers& headers;

  // As Request::path().
  std::string_view path() const noexcept;
};

struct Request {
  std::string method = "GET";
  std::string target;  // as sent: "/path?query"
  Headers headers;
  Body body;
  int version = 11;  // 10 or 11
  bool keep_alive = true;
  std::shared_ptr<const Peer> peer;  // set by the server
  std::string caller;                // whose request it is, as the server's Admit said

  // Without the query, still percent-encoded. For a target in absolute form
  // ("http://host/path"), what follows the authority.
  std::string_view path() const noexcept;
  // What follows '?'.
  std::string_view query() const noexcept;
  bool client_gone() const noexcept { return peer && peer->gone.load(std::memory_order_relaxed); }
};

// A body that comes piece by piece, for as long as somebody makes one and somebody reads it.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // The next piece; empty: there is none any more. It is awaited before it is
  // called again. What it throws ends the connection, since the status is out.
  virtual Task<std::string> next() = 0;
};

struct Response {
  int status = 200;
  Headers headers;
  Body body;
  std::shared_ptr<BodyStream> stream;  // in place of `body`; a request that is answered so runs no more

  static Response empty(int status = 204);
  static Response text(int status, std::string_view text);
  // `json` is sent as it is.
  static Response json(int status, std::string_view json);
};

// "Not Found"; empty for an unknown status.
std::string_view reason_phrase(int status) noexcept;

}  // namespace sm::http
