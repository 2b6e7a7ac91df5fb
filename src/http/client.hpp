#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include "http/limits.hpp"
#include "http/message.hpp"
#include "http/url.hpp"
#include "shumai/task_fwd.hpp"

namespace sm::io {
class TlsClient;
}

namespace sm::http {

struct ClientOptions {
  Limits limits;  // of responses
  std::chrono::milliseconds connect_timeout{10'000};
  size_t max_idle_per_origin = 32;
  // Below the time after which servers close, so that few requests meet a
  // connection that is just being closed.
  std::chrono::milliseconds idle_timeout{30'000};
};

struct SendOptions {
  // From the call to the last byte of the response; 0: no limit. The earlier
  // of the two counts.
  std::chrono::milliseconds timeout{60'000};
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  // The server may get the request twice: it is sent again, once, on a fresh
  // connection when a kept one dies before the response begins.
  bool retry_safe = false;
  // Set to whether the server may have got the request, when that isn't null.
  bool* may_have_arrived = nullptr;
  // For https; null: the system's certificate authorities, no certificate.
  std::shared_ptr<io::TlsClient> tls = nullptr;
};

// Sends requests over connections that are kept for the next ones. They belong
// to the execution context of the coroutine that sends, and all clients used
// there share them. Thread-safe; needs no closing.
class Client {
 public:
  explicit Client(ClientOptions options = {}) : options_(options) {}

  // The response, whatever its status. `request.target` defaults to the
  // url's, and Host, Content-Length and Connection are filled in. Throws
  // sm::Error: kConnection (the message says why; io::TlsError where another
  // attempt is no use), kTimeout, kProtocol and
  // kTooLarge for a response that is none or too large, kCancelled,
  // kInvalidArgument. The bytes of request.body aren't copied.
  Task<Response> send(Url url, Request request, SendOptions options = {}) const;

 private:
  ClientOptions options_;
};

}  // namespace sm::http
