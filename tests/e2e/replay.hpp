#pragma once

#include <fstream>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "e2e/proxy.hpp"

// Recorded exchanges, played by either side.
namespace sm::e2e {

inline std::string recorded(const std::string& name) {
  std::ifstream file(SHUMAI_SOURCE_DIR "/tests/e2e/recorded/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no recording " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string body_of(const std::string& message) { return message.substr(message.find("\r\n\r\n") + 4); }
inline std::string head_of(const std::string& message) { return message.substr(0, message.find("\r\n\r\n") + 2); }

// Answers the requests that come with `answers`, one after another, whatever
// they ask for, and keeps what came.
class ReplayServer {
 public:
  explicit ReplayServer(std::vector<std::string> answers)
      : answers_(std::move(answers)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at = Socket::address(0);
    socklen_t size = sizeof at;
    if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&at), size) != 0 || ::listen(listener_.fd(), 8) != 0)
      throw std::runtime_error("replay: can't listen");
    ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ReplayServer() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      listener_.end();
      if (client_) client_->end();
    }
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  // One connection at a time: what is replayed went over one.
  void serve() {
    for (;;) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const auto client = std::make_shared<Socket>(fd);
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        client_ = client;
      }
      std::string pending;
      for (std::string request; !(request = client->receive(pending)).empty();) client->send(answer(request));
    }
  }

  std::string answer(const std::string& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (requests_.size() > answers_.size()) return "HTTP/1.1 500 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    return answers_[requests_.size() - 1];
  }

  const std::vector<std::string> answers_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::vector<std::string> requests_;
  std::shared_ptr<Socket> client_;
  bool ending_ = false;

  Socket listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace sm::e2e
