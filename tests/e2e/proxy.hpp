#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// A network between clients and a server that does to HTTP/1.1 what networks
// and broken middleboxes do.
namespace sm::e2e {

// A blocking TCP socket of 127.0.0.1.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }

  static sockaddr_in address(uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return out;
  }
  // Null when nobody listens.
  static std::shared_ptr<Socket> connect(uint16_t port) {
    auto out = std::make_shared<Socket>(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = address(port);
    if (::connect(out->fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return nullptr;
    return out;
  }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // A whole message, taken off `pending` and what follows it. Empty at the end of the stream.
  std::string receive(std::string& pending) const {
    for (;;) {
      if (const size_t length = message_length(pending)) {
        std::string message = pending.substr(0, length);
        pending.erase(0, length);
        return message;
      }
      char bytes[16384];
      const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) return {};
      pending.append(bytes, static_cast<size_t>(got));
    }
  }
  void end() const { ::shutdown(fd_, SHUT_RDWR); }
  // Closing will reset the connection instead of ending it.
  void reset_on_close() const {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  int fd() const { return fd_; }

 private:
  // 0 when it isn't complete.
  static size_t message_length(std::string_view bytes) {
    const size_t head = bytes.find("\r\n\r\n");
    if (head == bytes.npos) return 0;
    constexpr std::string_view kField = "\r\nContent-Length: ";
    const size_t field = bytes.substr(0, head).find(kField);
    const size_t body = field == bytes.npos ? 0 : std::stoul(std::string(bytes.substr(field + kField.size(), 20)));
    return bytes.size() >= head + 4 + body ? head + 4 + body : 0;
  }

  const int fd_;
};

// Passes requests on to `upstream`, most of them unharmed, from the moment that it is made.
class Proxy {
 public:
  enum Mischief { kPass, kDelay, kCutRequest, kCutResponse, kLoseResponse, kDuplicate, kReplay, kCount };
  static constexpr const char* kNames[] = {
      "passed", "delayed", "cut in the request", "cut in the response", "response lost", "duplicated", "replayed"};

  Proxy(uint16_t upstream, uint32_t seed)
      : upstream_(upstream), random_(seed), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at = Socket::address(0);
    socklen_t size = sizeof at;
    if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&at), size) != 0 || ::listen(listener_.fd(), 64) != 0)
      throw std::runtime_error("proxy: can't listen");
    ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~Proxy() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      listener_.end();
      for (const std::weak_ptr<Socket>& open : open_)
        if (const auto socket = open.lock()) socket->end();
    }
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::array<int, kCount> counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  static constexpr size_t kRemembered = 64;  // connections, to be replayed

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      auto client = std::make_shared<Socket>(fd);
      if (!watch(client)) return;
      threads_.emplace_back([this, client] { serve(client); });
    }
  }

  // False when the proxy ends.
  bool watch(const std::shared_ptr<Socket>& socket) {
    const std::lock_guard lock(mutex_);
    std::erase_if(open_, [](const auto& open) { return open.expired(); });
    if (socket) open_.push_back(socket);
    return !ending_;
  }

  int draw(int low, int high) {
    const std::lock_guard lock(mutex_);
    return std::uniform_int_distribution<int>(low, high)(random_);
  }

  Mischief next_mischief() {
    const std::lock_guard lock(mutex_);
    const int roll = std::uniform_int_distribution<int>(0, 99)(random_);
    Mischief out = kPass;
    for (const auto& [below, what] : {std::pair{6, kDelay},
                                      {11, kCutRequest},
                                      {16, kCutResponse},
                                      {21, kLoseResponse},
                                      {31, kDuplicate},
                                      {36, kReplay}})
      if (roll < below) {
        out = what;
        break;
      }
    ++counts_[out];
    return out;
  }

  void serve(const std::shared_ptr<Socket>& client) {
    const std::shared_ptr<Socket> server = Socket::connect(upstream_);
    if (!server || !watch(server)) return;
    std::string recorded, from_client, from_server;
    for (;;) {
      const std::string request = client->receive(from_client);
      if (request.empty()) break;
      recorded += request;
      if (!pass_on(*client, *server, request, from_server, next_mischief())) break;
    }
    if (draw(0, 1)) {
      client->reset_on_close();
      server->reset_on_close();
    }
    const std::lock_guard lock(mutex_);
    past_.push_back(std::move(recorded));
    if (past_.size() > kRemembered) past_.pop_front();
  }

  // False when both connections are to end.
  bool pass_on(const Socket& client, const Socket& server, const std::string& request, std::string& from_server,
               Mischief mischief) {
    const auto part = [this](const std::string& all) {
      return std::string_view(all).substr(0, static_cast<size_t>(draw(0, static_cast<int>(all.size()) - 1)));
    };
    const bool before = draw(0, 1);
    if (mischief == kDelay) std::this_thread::sleep_for(std::chrono::milliseconds(draw(0, 20)));
    if (mischief == kReplay) replay();
    if (mischief == kDuplicate && before) send_aside(request);
    if (mischief == kCutRequest) {
      server.send(part(request));
      return false;
    }
    if (!server.send(request)) return false;
    if (mischief == kDuplicate && !before) send_aside(request);
    if (mischief == kLoseResponse) {
      // What was on its way gets there; some of the time, the server notices first that nobody waits.
      if (before) server.receive(from_server);
      return false;
    }
    const std::string response = server.receive(from_server);
    if (response.empty()) return false;
    if (mischief == kDelay) std::this_thread::sleep_for(std::chrono::milliseconds(draw(0, 20)));
    if (mischief == kCutResponse) {
      client.send(part(response));
      return false;
    }
    return client.send(response);
  }

  void replay() {
    std::string old;
    {
      const std::lock_guard lock(mutex_);
      if (past_.empty()) return;
      old = past_[std::uniform_int_distribution<size_t>(0, past_.size() - 1)(random_)];
    }
    send_aside(old);
  }

  // On a connection of its own, whose answers nobody reads; it ends by itself.
  void send_aside(const std::string& requests) {
    auto server = Socket::connect(upstream_);
    if (!server) return;
    server->send(requests);
    const std::lock_guard lock(mutex_);
    aside_.push_back(std::move(server));
    if (aside_.size() > 16) aside_.pop_front();
  }

  const uint16_t upstream_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::mt19937 random_;
  bool ending_ = false;
  std::vector<std::weak_ptr<Socket>> open_;
  std::deque<std::shared_ptr<Socket>> aside_;
  std::deque<std::string> past_;
  std::array<int, kCount> counts_{};

  Socket listener_;
  std::vector<std::thread> threads_;  // of acceptor_, while it runs
  std::thread acceptor_;
};

}  // namespace sm::e2e
