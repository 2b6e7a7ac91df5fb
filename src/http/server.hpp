#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "http/limits.hpp"
#include "http/message.hpp"
#include "shumai/task_fwd.hpp"

namespace boost::asio {
class io_context;
}

namespace sm::io {
class TlsServer;
}

namespace sm::http {

// The response, or what will give it. The quick way saves a coroutine, and the
// memory of the request, which the connection uses again: only the Task may
// have moved from it.
using Answer = std::variant<Response, Task<Response>>;
// Answers one request, on a thread of the server's io_context; the Task may
// await. A thrown sm::Error becomes a problem+json with its status, any other
// exception one with 500.
using Handler = std::function<Answer(Request&&)>;

// What a server decides about a request when it has its header.
struct Admission {
  // Goes out instead of the handler's answer. A large body, or one of unknown
  // length, is not read then, and the connection ends.
  std::optional<Response> answer;
  std::string caller;  // becomes Request::caller
  Headers headers;     // on the answer, the handler's or this one
};
// Runs on any of the server's threads, between other connections' work.
using Admit = std::function<Admission(const RequestHead&, const Peer&)>;

// Counters since the start, but for the first two. Thread-safe.
struct ServerStatistics {
  std::atomic<size_t> connections_open{0};
  std::atomic<size_t> requests_in_flight{0};  // handlers running now
  std::atomic<uint64_t> connections_total{0};
  std::atomic<uint64_t> connections_refused{0};
  std::atomic<uint64_t> requests_total{0};  // complete ones
  std::atomic<uint64_t> tls_handshakes{0};
  std::atomic<uint64_t> tls_resumed{0};   // of these, those of a client that was here before
  std::atomic<uint64_t> tls_failures{0};  // handshakes that failed, or took too long
  std::atomic<uint64_t> bytes_in{0};
  std::atomic<uint64_t> bytes_out{0};
  std::atomic<uint64_t> responses[6] = {};  // [2] counts the 2xx
};

struct ServerState;

// An HTTP/1.1 server: one coroutine for each connection, requests of one
// connection answered in order. The io_context may be run by several threads;
// it must outlive the server. All functions are thread-safe.
class Server {
 public:
  Server(boost::asio::io_context& context, Handler handler, Limits limits = {}, Admit admit = {});
  // Closes everything. Handlers that still run are not waited for: drain()
  // first, or stop the io_context, before what they use goes away.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts to accept at "127.0.0.1", "localhost", "::1", ... or "unix:/path",
  // and returns the port (the one that was given out, for port 0; 0 for Unix).
  // A socket file that no one listens on is replaced; `socket_mode` says who may
  // connect to one. With `tls`, connections begin with its handshake. May be
  // called for several addresses. Throws sm::Error (kConnection, kInvalidArgument).
  uint16_t listen(const std::string& host, uint16_t port, unsigned socket_mode = 0600,
                  std::shared_ptr<io::TlsServer> tls = nullptr);

  // Refuses new connections and closes idle ones; running requests finish and
  // then close theirs.
  void stop();

  // stop(), then waits until every connection has ended. False when some
  // haven't at `deadline`.
  Task<bool> drain(std::chrono::steady_clock::time_point deadline);

  // stop(), and ends all connections, in the middle of a message if need be.
  void close_all();

  const ServerStatistics& statistics() const noexcept;

 private:
  std::shared_ptr<ServerState> state_;
};

}  // namespace sm::http
