#include "replicate/presence.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "shumai/error.hpp"

namespace sm::replicate {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct FreeAddress {
  void operator()(addrinfo* info) const { ::freeaddrinfo(info); }
};

// Of an address in numbers; nothing is looked up. Null for anything else.
std::unique_ptr<addrinfo, FreeAddress> numeric(const std::string& address, uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return nullptr;
  return std::unique_ptr<addrinfo, FreeAddress>(found);
}

uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// One place that is being asked.
class Question {
 public:
  explicit Question(const Place& place) : line_(place.line) {
    const auto address = numeric(place.address, place.port);
    if (!address) return;
    socket_ = ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ >= 0 && ::connect(socket_, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) end();
  }
  Question(Question&& other) noexcept
      : line_(std::move(other.line_)), heard_(std::move(other.heard_)), socket_(std::exchange(other.socket_, -1)) {}
  ~Question() { end(); }

  int socket() const { return socket_; }
  bool answered() const { return heard_ == line_; }

  void read() {
    char bytes[256];
    const ssize_t count = ::recv(socket_, bytes, sizeof(bytes), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count > 0) heard_.append(bytes, static_cast<size_t>(count));
    if (count <= 0 || heard_.size() >= line_.size()) end();
  }

 private:
  void end() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  std::string line_, heard_;
  int socket_ = -1;
};

}  // namespace

Presence::Presence(const std::string& address, std::string line) : line_(std::move(line)) {
  const auto fail = [&](const char* why) {
    const std::string text = std::string("replicas: can't listen on \"") + address + "\": " + why;
    if (listener_ >= 0) ::close(listener_);
    throw Error(ErrorCode::kConnection, text);
  };
  const auto info = numeric(address, 0);
  if (!info) fail("not an address of this machine");
  listener_ = ::socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0 || ::bind(listener_, info->ai_addr, info->ai_addrlen) != 0 || ::listen(listener_, 128) != 0)
    fail(std::strerror(errno));
  port_ = port_of(listener_);
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  if (wake_ < 0) fail(std::strerror(errno));
  thread_ = std::thread([this] { run(); });
}

Presence::~Presence() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
  thread_.join();
  ::close(wake_);
  ::close(listener_);
}

void Presence::run() {
  for (;;) {
    pollfd watched[] = {{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
    ::poll(watched, 2, -1);
    if (watched[1].revents) return;
    const int caller = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (caller < 0) {
      // Out of descriptors, say: the caller stays in the queue.
      constexpr int kPause = 20;
      if (errno != EAGAIN && errno != ECONNABORTED) ::poll(&watched[1], 1, kPause);
      continue;
    }
    // A line always fits into an empty socket's buffer.
    [[maybe_unused]] const ssize_t sent = ::send(caller, line_.data(), line_.size(), MSG_NOSIGNAL);
    ::close(caller);
  }
}

std::vector<bool> reachable(const std::vector<Place>& places, milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  std::vector<Question> questions;
  questions.reserve(places.size());
  for (const Place& place : places) questions.emplace_back(place);
  for (;;) {
    std::vector<pollfd> watched;
    std::vector<Question*> open;
    for (Question& question : questions) {
      if (question.socket() < 0) continue;
      watched.push_back({question.socket(), POLLIN, 0});
      open.push_back(&question);
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (open.empty() || left.count() <= 0) break;
    ::poll(watched.data(), watched.size(), static_cast<int>(left.count()));
    for (size_t i = 0; i < open.size(); ++i)
      if (watched[i].revents) open[i]->read();
  }
  std::vector<bool> out;
  out.reserve(questions.size());
  for (const Question& question : questions) out.push_back(question.answered());
  return out;
}

}  // namespace sm::replicate
