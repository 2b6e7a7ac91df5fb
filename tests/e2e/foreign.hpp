#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "e2e/process.hpp"
#include "e2e/proxy.hpp"

// Programs of others that the tests run against ours.
namespace sm::e2e {

// One that nobody listened on a moment ago.
inline uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Socket::address(0);
  socklen_t size = sizeof address;
  const bool found = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!found) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// A program that listens on a port that it has to be told. `arguments` makes
// its command line; on another port when that one was taken meanwhile.
class ListeningProgram {
 public:
  explicit ListeningProgram(const std::function<std::vector<std::string>(uint16_t port)>& arguments) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      port_ = free_port();
      process_ = std::make_unique<Process>(arguments(port_));
      if (poll_until([this] { return !process_->running() || Socket::connect(port_); }) && process_->running()) return;
    }
    throw std::runtime_error("it doesn't listen; its output: " + process_->output());
  }

  uint16_t port() const { return port_; }
  Process& process() { return *process_; }

 private:
  uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace sm::e2e
