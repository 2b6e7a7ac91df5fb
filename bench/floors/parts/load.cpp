#include "floors/parts/load.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace bench {
namespace {

std::string body_of(size_t rows, size_t columns) {
  const size_t elements = std::max<size_t>(rows, 1) * columns;
  std::string header = R"({"0":{"dtype":"F32","shape":[)" + (rows == 0 ? "" : std::to_string(rows) + ",") +
                       std::to_string(columns) + R"(],"data_offsets":[0,)" + std::to_string(elements * 4) + "]}}";
  header.append((64 - (8 + header.size()) % 64) % 64, ' ');
  const uint64_t length = header.size();
  std::string body(sizeof length + header.size() + elements * sizeof(float), '\0');
  std::memcpy(body.data(), &length, sizeof length);
  header.copy(body.data() + sizeof length, header.size());
  const float value = 0.5f;
  for (size_t i = 0; i < elements; ++i)
    std::memcpy(body.data() + sizeof length + header.size() + i * sizeof value, &value, sizeof value);
  return body;
}

std::string request_of(const LoadSettings& settings, std::string_view session) {
  const std::string body = body_of(settings.rows, settings.elements);
  std::string head = "POST " + settings.path +
                     " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-safetensors\r\n"
                     "Accept: application/x-safetensors\r\n";
  if (!session.empty()) head.append("Shumai-Session: ").append(session).append("\r\n");
  return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("load: can't connect to port " + std::to_string(port));
  return fd;
}

// The value of a header whose name is in lower case; empty without one.
std::string_view header_of(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() < name.size() + 2 || line[name.size()] != ':') continue;
    const bool same = std::equal(name.begin(), name.end(), line.begin(), [](char wanted, char is) {
      return wanted == (is >= 'A' && is <= 'Z' ? is - 'A' + 'a' : is);
    });
    if (same) return line.substr(name.size() + 2);
  }
  return {};
}

}  // namespace

Load::Load(const LoadSettings& settings) : settings_(settings) {
  all_.resize(std::max(settings_.open, settings_.connections));
  const std::string request = request_of(settings_, {});
  // A single connection is read with a call that blocks: nothing is cheaper.
  if (all_.size() > 1) epoll_ = ::epoll_create1(0);
  for (size_t i = 0; i < all_.size(); ++i) {
    all_[i].fd = connect_to(settings_.port);
    all_[i].request = request;
    free_.push_back(i);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ >= 0) ::epoll_ctl(epoll_, EPOLL_CTL_ADD, all_[i].fd, &event);
  }
}

Load::~Load() {
  for (const Connection& connection : all_) ::close(connection.fd);
  if (epoll_ >= 0) ::close(epoll_);
}

void Load::send(Connection& connection) {
  connection.begin = Clock::now();
  connection.waits = true;
  const std::string& request = connection.request;
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t put = ::send(connection.fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (put <= 0) throw std::runtime_error("load: the server closed");
    sent += static_cast<size_t>(put);
  }
}

// The header and what came behind it are in `head`.
void Load::read_header(Connection& connection) {
  const size_t end = connection.head.find("\r\n\r\n");
  if (end == std::string::npos) return;
  const std::string_view head(connection.head.data(), end + 2);
  size_t length = 0;
  const std::string_view text = header_of(head, "content-length");
  std::from_chars(text.data(), text.data() + text.size(), length);
  if (!head.starts_with("HTTP/1.1 200") || length == 0)
    throw std::runtime_error("load: expected a 200 with a body, got " + std::string(head.substr(0, 200)));
  if (settings_.keeps_session && !connection.has_session) {
    connection.request = request_of(settings_, header_of(head, "shumai-session"));
    connection.has_session = true;
  }
  connection.missing = end + 4 + length - connection.head.size();
  connection.waits = connection.missing > 0;
  connection.head.clear();
}

// True when the answer is complete.
bool Load::receive(Connection& connection) {
  static char buffer[1 << 18];
  const ssize_t got = ::read(connection.fd, buffer, sizeof buffer);
  if (got <= 0) throw std::runtime_error("load: the server closed");
  if (connection.missing > 0) {
    connection.missing -= std::min(connection.missing, static_cast<size_t>(got));
    connection.waits = connection.missing > 0;
  } else {
    connection.head.append(buffer, static_cast<size_t>(got));
    read_header(connection);
  }
  return !connection.waits;
}

void Load::use(size_t count) {
  std::erase_if(free_, [count](size_t at) { return at >= count; });
}

std::vector<double> Load::run(double seconds, size_t requests) {
  std::vector<double> times;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  size_t sent = 0;
  const auto send_next = [&] {
    if (sent == requests || Clock::now() >= end) return false;
    Connection& connection = all_[free_.front()];
    free_.pop_front();
    ++sent;
    send(connection);
    return true;
  };
  size_t flying = 0;
  while (flying < settings_.connections && send_next()) ++flying;
  epoll_event events[256];
  while (flying > 0) {
    const int ready = epoll_ < 0 ? 1 : ::epoll_wait(epoll_, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      const size_t at = epoll_ < 0 ? 0 : events[i].data.u64;
      if (!receive(all_[at])) continue;
      times.push_back(std::chrono::duration<double>(Clock::now() - all_[at].begin).count());
      free_.push_back(at);
      if (!send_next()) --flying;
    }
  }
  return times;
}

}  // namespace bench
