#pragma once

// What the tests of this folder share: a running server, a client that sends
// raw bytes, and waiting without sleeping blindly.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "http/client.hpp"
#include "http/server.hpp"
#include "io/event_loop.hpp"
#include "shumai/error.hpp"

namespace sm::http::testing {

using std::chrono::milliseconds;

// True as soon as `condition` is; false when it isn't within ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

inline Task<Response> echo(Request request) {
  Response response;
  response.headers.set("Content-Type", request.headers.get("Content-Type", "application/octet-stream"));
  response.headers.set("X-Target", request.method + " " + request.target);
  response.body = request.body;
  co_return response;
}

// A server on a free port of 127.0.0.1, with its own loop.
struct TestServer {
  explicit TestServer(Handler handler = echo, Limits limits = {}, size_t threads = 2)
      : loop(threads), server(loop.context(), std::move(handler), limits), port(server.listen("127.0.0.1", 0)) {}
  // The handlers' coroutines must be out of the way before the server is.
  ~TestServer() {
    server.close_all();
    eventually([this] { return server.statistics().connections_open == 0; });
  }

  std::string url(const std::string& target = "/") const { return "127.0.0.1:" + std::to_string(port) + target; }

  io::EventLoop loop;
  Server server;
  uint16_t port;
};

// A blocking socket. Reading gives up after ten seconds.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  explicit RawClient(const std::string& socket_path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
    open(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False when the server no longer takes bytes.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  void shutdown_send() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  struct Answer {
    int status = 0;
    std::string head;
    std::string body;
  };

  // The next answer, which must have a Content-Length (or, for HEAD, no body).
  Answer read_answer(bool head_only = false) {
    while (pending_.find("\r\n\r\n") == std::string::npos) more();
    Answer answer;
    const size_t end = pending_.find("\r\n\r\n") + 4;
    answer.head = pending_.substr(0, end);
    pending_.erase(0, end);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const size_t field = answer.head.find("Content-Length: ");
    if (head_only || field == std::string::npos) return answer;
    const size_t length = std::stoul(answer.head.substr(field + 16));
    while (pending_.size() < length) more();
    answer.body = pending_.substr(0, length);
    pending_.erase(0, length);
    return answer;
  }

  // What comes up to and with `end`.
  std::string read_until(std::string_view end) {
    while (pending_.find(end) == std::string::npos) more();
    const size_t size = pending_.find(end) + end.size();
    std::string out = pending_.substr(0, size);
    pending_.erase(0, size);
    return out;
  }

  // What comes before the server closes.
  std::string read_all() {
    try {
      for (;;) more();
    } catch (const std::runtime_error&) {
    }
    return std::exchange(pending_, {});
  }

  // True when the server closes without another byte.
  bool closed() { return read_all().empty() && !timed_out_; }

 private:
  void open(const sockaddr* address, socklen_t size) {
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, address, size) != 0) throw std::runtime_error("connect: " + std::string(std::strerror(errno)));
  }

  void more() {
    char bytes[16384];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (got <= 0) throw std::runtime_error(got == 0 ? "closed" : std::strerror(errno));
    pending_.append(bytes, static_cast<size_t>(got));
  }

  int fd_;
  bool timed_out_ = false;
  std::string pending_;
};

template <class T>
Task<std::variant<T, std::pair<ErrorCode, std::string>>> capture(Task<T> task) {
  try {
    co_return co_await std::move(task);
  } catch (const Error& error) {
    co_return std::pair(error.code(), std::string(error.what()));
  }
}

// Runs `task` on `loop` and waits for what it yields or throws. An Error
// crosses the threads as a value: ThreadSanitizer can't see how libstdc++
// counts exceptions.
template <class T>
T await_on(io::EventLoop& loop, Task<T> task) {
  auto outcome = boost::asio::co_spawn(loop.context(), capture(std::move(task)), boost::asio::use_future).get();
  if (auto* failed = std::get_if<1>(&outcome)) throw Error(failed->first, failed->second);
  return std::get<0>(std::move(outcome));
}

// A POST when there is a body.
inline Response fetch(io::EventLoop& loop, const std::string& url, const std::string& body = {},
                      SendOptions options = {}, const Client& client = Client()) {
  Request request;
  request.method = body.empty() ? "GET" : "POST";
  request.body = copy_body(body);
  return await_on(loop, client.send(Url::parse(url), std::move(request), options));
}

}  // namespace sm::http::testing
