#include "floors/parts/loopback.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

namespace bench {
namespace {

void check(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("loopback: ") + what + " failed");
}

void transfer_all(ssize_t (*transfer)(int, std::byte*, size_t), int fd, std::vector<std::byte>& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t moved = transfer(fd, bytes.data() + done, bytes.size() - done);
    check(moved > 0, "the other end");
    done += static_cast<size_t>(moved);
  }
}

void read_all(int fd, std::vector<std::byte>& bytes) {
  transfer_all([](int from, std::byte* data, size_t size) { return ::read(from, data, size); }, fd, bytes);
}

void write_all(int fd, std::vector<std::byte>& bytes) {
  transfer_all([](int to, std::byte* data, size_t size) { return ::send(to, data, size, MSG_NOSIGNAL); }, fd, bytes);
}

// The process that sends back what it gets, until the connection ends.
[[noreturn]] void send_back(int fd, size_t size) {
  std::vector<std::byte> bytes(size);
  try {
    for (;;) {
      read_all(fd, bytes);
      write_all(fd, bytes);
    }
  } catch (const std::runtime_error&) {
    ::_exit(0);
  }
}

int connected(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// One end of a TCP connection whose other end is a process of its own.
class Peer {
 public:
  explicit Peer(size_t size) : bytes_(size) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener, any, length) == 0 && ::listen(listener, 1) == 0, "listen");
    ::getsockname(listener, any, &length);
    const pid_t child = ::fork();
    check(child >= 0, "fork");
    if (child == 0) send_back(connected(::accept(listener, nullptr, nullptr)), size);
    fd_ = connected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check(::connect(fd_, any, length) == 0, "connect");
    ::close(listener);
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void there_and_back() {
    write_all(fd_, bytes_);
    read_all(fd_, bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
  int fd_ = -1;
};

}  // namespace

Workload loopback(const sm::Json& arguments) {
  const auto peer = std::make_shared<Peer>(static_cast<size_t>(arguments["bytes"].as_int64()));
  return repeat([peer] { peer->there_and_back(); });
}

}  // namespace bench
